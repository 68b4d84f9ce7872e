"""How the papers test a classifier: many views of each picture, their answers averaged."""

import sys
import time

import numpy as np

from kvision.evaluation.classification import best_guesses, check_labels, wilson_interval
from kvision.evaluation.views import CROPS, cut_crops, rescaled, single_examples, with_channels

BATCH = 64
SECONDS_BETWEEN_LINES = 20.0


def dense_evaluation(model, dataset, scales=(256, 384, 512), mirror=True, from_logits=False, top=5):
    """Top-1 and top-k error of a classifier that slides over whole pictures of several sizes.

    Each picture is rescaled so that its shorter side has `scale` pixels. The model slides over it
    and over its mirror image; its map is averaged over the positions, then over the mirror images
    and the scales.

    Args:
        model: a model from pictures of any size to `(n, rows, columns, classes)`:
            `kv.models.convolutionalize(classifier)`, or what `kv.export.load` gives of its file.
        dataset: single examples as `kv.data.load` yields them, dicts with `image`
            (height, width, channels), pixels 0..255, and `label`; or pairs of these. Grey and RGB
            pictures become what the model takes.
        scales: lengths of the shorter side, in pixels, at least the classifier's own input size.
        mirror: whether the mirror image is looked at too.
        from_logits: whether the maps are logits, so that a softmax follows the averaging over
            positions, or probabilities.
        top: how many guesses count in `top_k_error`.

    Returns:
        A dict that JSON can hold: `samples`, `top_1_error` (0..1), `top_1_error_interval` (95 %,
        Wilson), `top_k`, `top_k_error`, `top_k_error_interval`, `scales`, `mirror` and `views`
        (pictures that the model sees of each example). Long runs tell their progress on stderr.

    Raises:
        ValueError: where the model does not slide, a scale is too small, or examples are missing,
            have no label or one outside the model's classes.

    Reference:
        Simonyan, Zisserman: Very deep convolutional networks for large-scale image recognition,
        2015, section 3.2.

    Example:

    >>> import kvision as kv
    >>> sliding = kv.models.convolutionalize(kv.models.LeNet5())
    >>> digits = kv.data.load("digits", "test[:8]")
    >>> dense_evaluation(sliding, digits, scales=(32, 40))["views"]
    4
    """
    scales = _checked_scales(scales)
    if len(_sizes(model)) == 2 and None not in _sizes(model):
        raise ValueError(
            "`model` must take pictures of any size. Received one for "
            f"{_sizes(model)[0]}x{_sizes(model)[1]}. Pass `kv.models.convolutionalize(model)`."
        )
    _check_window(model, scales[0])
    answer, tally = _answers(model), _Tally(dataset, top)
    for image, label in single_examples(dataset):
        scores = []
        for scale in scales:
            picture = rescaled(with_channels(image, _channels(model)), scale)
            maps = answer(np.stack([picture, picture[:, ::-1]] if mirror else [picture]))
            if maps.ndim != 4 or 0 in maps.shape:
                raise ValueError(
                    "`model` must give a map (n, rows, columns, classes) with at least one "
                    f"position. Received {maps.shape} for a picture of {picture.shape}. Pass "
                    "`kv.models.convolutionalize(model)`, and scales of at least its input size."
                )
            means = maps.mean((1, 2))
            scores.append((_softmax(means) if from_logits else means).mean(0))
        tally.add(np.mean(scores, 0)[None], [label])
    views = len(scales) * (1 + bool(mirror))
    return {**tally.result(), "scales": scales, "mirror": bool(mirror), "views": views}


def multi_crop_evaluation(
    model,
    dataset,
    scales=(256,),
    crop_size=None,
    crops="grid",
    grid=5,
    mirror=None,
    from_logits=False,
    top=5,
):
    """Top-1 and top-k error of a classifier that looks at several crops of each picture.

    Each picture is rescaled so that its shorter side has `scale` pixels, cut into crops of the
    model's input size, and the model's probabilities are averaged over all of them. `"grid"` at
    three scales is VGG's protocol of 150 crops; `"ten"` AlexNet's, the corners and the centre of
    the central square; `"centre"` one crop, the usual quick number.

    Args:
        model: anything with `predict(images, batch_size=...)` that gives `(n, classes)`: a
            `keras.Model`, or what `kv.export.load` returns.
        dataset: as in `dense_evaluation`.
        scales: lengths of the shorter side, in pixels, at least the crop's.
        crop_size: (height, width), or one number for both; by default the model's input size.
        crops: `"grid"`, `"ten"` or `"centre"`.
        grid: crops in a row and in a column of the grid.
        mirror: whether the mirror image of each crop is looked at too; by default in all but
            `"centre"`.
        from_logits: whether the model gives logits, so that a softmax comes before the averaging.
        top: how many guesses count in `top_k_error`.

    Returns:
        A dict as from `dense_evaluation`, with `crops` and `crop_size` besides.

    Raises:
        ValueError: where an option is unknown, a picture would be smaller than a crop, the crop is
            not the model's size, or examples are missing or wrongly labelled.

    Reference:
        Simonyan, Zisserman: Very deep convolutional networks for large-scale image recognition,
        2015, section 3.2; Krizhevsky, Sutskever, Hinton: ImageNet classification with deep
        convolutional neural networks, 2012, section 4.1.

    Example:

    >>> import kvision as kv
    >>> digits = kv.data.load("digits", "test[:8]")
    >>> multi_crop_evaluation(kv.models.LeNet5(), digits, scales=(36,), crops="ten")["views"]
    10
    """
    scales = _checked_scales(scales)
    if crops not in CROPS:
        raise ValueError(f"`crops` must be one of {CROPS}. Received: {crops!r}")
    if crops == "grid" and not (isinstance(grid, int) and grid > 0):
        raise ValueError(f"`grid` must be a whole number from 1. Received: {grid!r}")
    size = _crop_size(model, crop_size)
    if scales[0] < max(size):
        raise ValueError(
            f"Each of `scales` must be at least the crop's {max(size)} pixels. Received: {scales}"
        )
    mirror = crops != "centre" if mirror is None else bool(mirror)
    answer, tally = _answers(model), _Tally(dataset, top)
    for pixels, labels in _crop_batches(model, dataset, scales, size, crops, grid, mirror):
        parts = [answer(pixels[i : i + BATCH]) for i in range(0, len(pixels), BATCH)]
        scores = np.concatenate(parts)
        if scores.ndim != 2:
            raise ValueError(f"`model` must give (n, classes). Received: {scores.shape}")
        scores = _softmax(scores) if from_logits else scores
        tally.add(scores.reshape(len(labels), -1, scores.shape[-1]).mean(1), labels)
    places = {"grid": grid * grid, "ten": 5, "centre": 1}[crops]
    return {
        **tally.result(),
        "scales": scales,
        "mirror": mirror,
        "crops": crops,
        "crop_size": list(size),
        "views": len(scales) * places * (1 + mirror),
    }


def _crop_batches(model, dataset, scales, *options):
    """All crops of one or more pictures and the labels of the pictures, about `BATCH` crops."""
    waiting, labels = [], []
    for image, label in single_examples(dataset):
        waiting.append(cut_crops(with_channels(image, _channels(model)), scales, *options))
        labels.append(label)
        if sum(map(len, waiting)) >= BATCH:
            yield np.concatenate(waiting), labels
            waiting, labels = [], []
    if waiting:
        yield np.concatenate(waiting), labels


def _checked_scales(scales):
    scales = [scales] if isinstance(scales, int) else list(scales)
    if not scales or not all(isinstance(s, (int, np.integer)) and s > 0 for s in scales):
        raise ValueError(f"`scales` must be numbers of pixels, whole from 1. Received: {scales}")
    return sorted(int(scale) for scale in scales)


def _shape(model):
    """(height, width, channels) as a `keras.Model` or a `LoadedModel` states it; or nothing."""
    shape = getattr(model, "input_shape", None)
    return tuple(shape[-3:]) if isinstance(shape, (tuple, list)) else ()


def _sizes(model):
    return _shape(model)[:2]


def _channels(model):
    return _shape(model)[2] if _shape(model) else None


def _crop_size(model, crop_size):
    sizes = _sizes(model) or (None, None)
    if crop_size is None:
        crop_size = sizes
    crop_size = (crop_size, crop_size) if isinstance(crop_size, int) else tuple(crop_size)
    fits = len(crop_size) == 2 and all(
        isinstance(crop, int) and crop > 0 and own in (None, crop)
        for own, crop in zip(sizes, crop_size, strict=False)
    )
    if not fits:
        raise ValueError(
            "`crop_size` must be the model's input size, or any where that is open. Received: "
            f"{crop_size} for an input of {sizes}."
        )
    return crop_size


def _check_window(model, scale):
    """Asks a `keras.Model` whether a square picture of this size is large enough."""
    if not hasattr(model, "compute_output_shape"):
        return
    try:
        shape = model.compute_output_shape((1, scale, scale, _channels(model)))
    except ValueError:
        shape = (1, 0, 0, 0)
    if isinstance(shape, tuple) and len(shape) == 4 and min(shape[1:3]) < 1:
        raise ValueError(
            "Each of `scales` must be at least the size that the classifier was made for. "
            f"Received {scale}, on which it has no position."
        )


def _answers(model):
    """A function from pixels to the model's answers, arrays of float32."""
    if not hasattr(model, "fit"):
        return lambda pixels: _one_array(model.predict(pixels, batch_size=len(pixels)), pixels)
    import keras

    if getattr(model, "inputs", None):
        # Not the model itself, whose strategy would give every replica the whole batch; and not
        # called layer by layer, which takes several times longer.
        run = keras.Model(model.inputs, model.outputs).predict_on_batch
    else:
        run = lambda pixels: model(pixels, training=False)  # noqa: E731
    return lambda pixels: _one_array(run(pixels), pixels)


def _one_array(answer, pixels):
    if isinstance(answer, (list, tuple)) and len(answer) == 1:
        answer = answer[0]
    if isinstance(answer, (dict, list, tuple)):
        named = sorted(answer) if isinstance(answer, dict) else len(answer)
        raise ValueError(
            f"`model` must have one output. Received: {named}. Pass "
            "`keras.Model(model.input, model.output[...])`."
        )
    answer = np.asarray(answer, "float32")
    if len(answer) != len(pixels):
        raise ValueError(
            "`model` must give one answer for each picture. Received "
            f"{len(answer)} for {len(pixels)}."
        )
    return answer


def _softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


class _Tally:
    """Counts the hits and, on long runs, says on stderr how far it is."""

    def __init__(self, dataset, top):
        if not (isinstance(top, int) and top > 0):
            raise ValueError(f"`top` must be a whole number from 1. Received: {top!r}")
        try:
            self.total = f" of {len(dataset):,}"
        except TypeError:
            self.total = ""
        self.top, self.hits, self.samples = top, np.zeros(0, int), 0
        self.started = self.said = time.monotonic()

    def add(self, scores, labels):
        labels = np.asarray(labels)
        check_labels(labels, scores.shape[-1])
        hits = (best_guesses(scores, self.top) == labels[:, None]).sum(0)
        self.hits = hits + (self.hits if self.samples else 0)
        self.samples += len(labels)
        now = time.monotonic()
        if now - self.said >= SECONDS_BETWEEN_LINES:
            self.said = now
            print(
                f"{self.samples:,}{self.total} images, {self.samples / (now - self.started):.3g} "
                f"a second; top-1 error {1 - self.hits[0] / self.samples:.2%} so far",
                file=sys.stderr,
                flush=True,
            )

    def result(self):
        if not self.samples:
            raise ValueError("There must be examples to evaluate on. Received an empty data set.")
        errors = {"top_1_error": 1, "top_k_error": len(self.hits)}
        result = {"samples": self.samples, "top_k": len(self.hits)}
        for name, guesses in errors.items():
            wrong = self.samples - int(self.hits[:guesses].sum())
            result[name] = wrong / self.samples
            result[f"{name}_interval"] = list(wilson_interval(wrong, self.samples))
        return result
