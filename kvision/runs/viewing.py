"""What `kvision predict` says of a photo and draws: classes, masks, boxes, heat maps."""

import numpy as np

from kvision import data, evaluation, export, models, visualize
from kvision.models.activation_maps import enlargement
from kvision.ops.masks import centre_crop
from kvision.ops.scores import (
    INDEPENDENT,
    by_class,
    classes_of_pixels,
    meaning_of,
    names_by_class,
    probabilities,
)

SIDE = 480  # the longer side of a photo in a figure


def viewer(loaded, resize="stretch", top=3, tiles=False, score=0.5):
    """The viewer for a model: a `ClassViewer`, `MaskViewer` or `BoxViewer`.

    Args:
        loaded: what `kv.export.load` returned; its input size must be known.
        resize: how photos get that size: `"stretch"`, `"crop"` or `"pad"`.
        top: how many classes to name; of a detector, how many objects.
        tiles: whether a segmenter looks at photos in their own size, tile by tile.
        score: of a detector, what scores less is not shown.

    Raises:
        ValueError: where `tiles` is asked for and the model is no segmenter.
    """
    task = task_of(loaded)
    if task == "segmentation":
        return MaskViewer(loaded, resize, top, tiles)
    if tiles:
        raise ValueError(
            f"--tiles is for models that give a class to every pixel. Received: {loaded.path}"
        )
    return (
        BoxViewer(loaded, resize, top, score)
        if task == "detection"
        else ClassViewer(loaded, resize, top)
    )


def task_of(loaded):
    """What a loaded model does, which is asked by showing it a black picture.

    Returns:
        `"classification"`, `"segmentation"` or `"detection"`.
    """
    outputs = loaded.predict(np.zeros((1, *loaded.input_shape), "uint8"))
    if isinstance(outputs, dict):
        return "detection" if "boxes" in outputs else "classification"
    return "segmentation" if outputs.ndim == 4 else "classification"


def names_of(loaded, count):
    """The model's class names, or numbers in their place."""
    return names_by_class(loaded.labels, count)


class ClassViewer:
    """Probabilities of what whole photos show.

    What the model's scores mean is seen from its answers to noise of several brightnesses and to
    the photo; `note` says what was taken, where that is not probabilities that exclude each other.
    """

    def __init__(self, loaded, resize, top):
        self.loaded, self.resize, self.top = loaded, resize, top
        self.pictures, self.scores, self.note = [], [], ""
        noise = np.random.default_rng(0).integers(0, 256, (9, *loaded.input_shape))
        self.answers = loaded.predict((noise * np.linspace(0, 1, 9)[:, None, None, None]).round())

    def look(self, photo):
        """Takes a photo, uint8 (height, width, 3); returns a line of text about it."""
        picture = data.resize_image(photo, self.loaded.input_shape, self.resize)
        scores = self._probabilities(self.loaded.predict(picture[None]))
        self.pictures.append(picture)
        self.scores.append(scores)
        names = names_of(self.loaded, self.answers.shape[1])
        best = np.argsort(-scores, kind="stable")[: self.top]
        return ", ".join(f"{names[i]} {scores[i]:.1%}" for i in best)

    def _probabilities(self, scores):
        """What one photo's scores say of each class."""
        scores = np.concatenate([self.answers, scores])
        meaning = meaning_of(scores)
        likely, converted = probabilities(scores, meaning)
        self.note = "The model's scores are logits, shown as probabilities. " if converted else ""
        if meaning == INDEPENDENT:
            self.note += "Its probabilities do not add up to 1: several classes may be right."
        return by_class(likely, meaning)[-1]

    def save(self, path):
        """Writes a figure of the photos with their classes."""
        names = names_of(self.loaded, self.answers.shape[1])
        visualize.predictions(self.pictures, self.scores, names).savefig(path)


class MaskViewer:
    """The class of every pixel."""

    def __init__(self, loaded, resize, top, tiles):
        self.loaded, self.resize, self.top, self.tiles = loaded, resize, top, tiles
        self.pictures, self.masks, self.classes, self.one_score = [], [], 0, False

    def look(self, photo):
        """Takes a photo, uint8 (height, width, 3); returns a line of text about it."""
        channels = self.loaded.input_shape[2]
        if self.tiles:
            picture = data.resize_image(photo, (*photo.shape[:2], channels))
            outputs = evaluation.tiled_prediction(self.loaded, picture)
        else:
            picture = data.resize_image(photo, self.loaded.input_shape, self.resize)
            outputs = self.loaded.predict(picture[None])[0]
        scored = outputs.dtype.kind == "f"
        mask = classes_of_pixels(outputs) if scored else outputs[..., 0].astype(int)
        self.one_score = scored and outputs.shape[-1] == 1
        self.classes = max(self.classes, max(2, outputs.shape[-1]) if scored else mask.max() + 1)
        self._keep(photo, picture, mask)
        shares = np.bincount(mask.ravel(), minlength=self.classes) / mask.size
        names = self._names()
        best = [i for i in np.argsort(-shares, kind="stable")[: self.top] if shares[i] > 0]
        # A network that does not pad answers for the middle of what it sees.
        middle = "" if mask.shape == picture.shape[:2] else " in the middle (see --tiles)"
        return f"pixels{middle}: " + ", ".join(f"{names[i]} {shares[i]:.1%}" for i in best)

    def _names(self):
        return names_of(self.loaded, 1 if self.one_score else self.classes)

    def _keep(self, photo, picture, mask):
        whole = not self.tiles and mask.shape == picture.shape[:2]
        # The figure keeps the photo's own shape where the model is shown all of it.
        shown = photo if whole and self.resize == "stretch" else centre_crop(picture, mask.shape)
        shown = at_most(shown)
        rows, columns = (
            (np.arange(size) + 0.5) * length // size
            for size, length in zip(shown.shape[:2], mask.shape, strict=True)
        )
        self.pictures.append(shown)
        self.masks.append(mask[rows.astype(int)][:, columns.astype(int)])

    def save(self, path):
        """Writes a figure of the photos under their masks."""
        names = self._names()
        visualize.overlays(self.pictures, self.masks, names).savefig(path)


class BoxViewer:
    """The objects in photos."""

    def __init__(self, loaded, resize, top, score):
        self.loaded, self.resize, self.top, self.score = loaded, resize, top, score
        self.pictures, self.found = [], []

    def look(self, photo):
        """Takes a photo, uint8 (height, width, 3); returns a line of text about it."""
        picture = data.resize_image(photo, self.loaded.input_shape, self.resize)
        found = {key: value[0] for key, value in self.loaded.predict(picture[None]).items()}
        shown = (found["classes"] >= 0) & (found["scores"] >= self.score)
        found = {key: value[shown] for key, value in found.items()}
        # Relative boxes fit the photo itself where the model is shown all of it.
        self.pictures.append(photo if self.resize == "stretch" else picture)
        self.found.append(found)
        names = names_of(self.loaded, found["classes"].max(initial=-1) + 1)
        pairs = zip(found["classes"][: self.top], found["scores"], strict=False)
        told = [f"{names[label]} {score:.1%}" for label, score in pairs]
        more = len(found["scores"]) - len(told)
        count = f"{len(found['scores'])} objects" if len(found["scores"]) != 1 else "1 object"
        return f"{count}{': ' if told else ''}{', '.join(told)}{f' and {more} more' * bool(more)}"

    def save(self, path):
        """Writes the photo with its boxes in its own size, or a figure: of several, or in lines."""
        from PIL import Image

        classes = [part["classes"].max(initial=-1) for part in self.found]
        names = names_of(self.loaded, max(classes) + 1)
        if len(self.pictures) > 1 or str(path).lower().endswith(".svg"):  # not Pillow's
            visualize.detections(
                [at_most(picture) for picture in self.pictures], self.found, names=names
            ).savefig(path)
            return
        (picture,), (found,) = self.pictures, self.found
        if picture.shape[-1] == 1:
            picture = np.repeat(picture, 3, axis=-1)
        Image.fromarray(visualize.draw_boxes(picture, names=names, **found)).save(path)


class HeatMapViewer:
    """Photos with maps of the evidence for their best class."""

    def __init__(self, loaded, resize):
        if loaded.kind != "keras":
            raise ValueError(
                "--heatmap needs the Keras model. Pass model.keras, or a run folder with one in "
                f"it. Received: {loaded.path}"
            )
        task = task_of(loaded)
        if task != "classification":
            raise ValueError(
                f"--heatmap is for classifiers; this model does {task}. Use --save. "
                f"Received: {loaded.path}"
            )
        self.resize = resize
        self.model = models.class_activation_maps(export.load_keras(loaded.path))
        size, self.margins = enlargement(self.model, loaded.input_shape[:2])
        self.shape = (*size, loaded.input_shape[2])
        self.photos, self.maps, self.titles = [], [], []

    def add(self, photo, scores, names):
        """Takes a photo, the probabilities of its classes and their names."""
        label = int(np.argmax(scores))
        enlarged = data.resize_image(photo, self.shape, self.resize)
        maps = self.model.predict_on_batch(enlarged[None].astype("float32"))
        # One map is evidence for class 1, and what speaks against it speaks for class 0.
        one = maps[..., 0] if label else -maps[..., 0]
        self.maps.append((one if maps.shape[-1] == 1 else maps[..., label])[0])
        # The figure keeps the photo's own shape where the model is shown all of it.
        self.photos.append(at_most(photo if self.resize == "stretch" else enlarged))
        self.titles.append(f"{names[label]}  {scores[label]:.0%}")

    def save(self, path):
        """Writes a figure of the photos with their maps."""
        visualize.heatmaps(self.photos, self.maps, self.titles, self.margins).savefig(path)


def at_most(photo):
    """A photo with `SIDE` pixels on its longer side."""
    scale = SIDE / max(photo.shape[:2])
    size = [max(1, round(length * scale)) for length in photo.shape[:2]]
    return data.resize_image(photo, (*size, photo.shape[2]))
