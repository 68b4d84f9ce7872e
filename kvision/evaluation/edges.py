"""Edges compared with what people drew: ODS, OIS and AP of the Berkeley benchmark."""

import numpy as np
from keras import ops

from kvision.evaluation.edge_matching import cut_offs, edge_counts, edge_summary
from kvision.ops.masks import VOID

_LUMA = np.float32([[0.299], [0.587], [0.114]])


def evaluate_edges(
    model,
    dataset,
    tolerance=0.0075,
    thresholds=99,
    thinning=True,
    progress=False,
    each=None,
):
    """Scores a network of edges: ODS, OIS and average precision.

    Edges are thinned, cut off at each threshold and matched one to one with the drawn ones, as many
    as lie within `tolerance`. Where several people drew a picture, an edge is right if one of them
    has it, and the drawn edges of all are to be found. Holds one batch at a time.

    Args:
        model: anything with `predict(images, batch_size=...)` that gives `(n, height, width, 1)`,
            0..1, or a dict of these with `"fuse"`, which is taken: a `keras.Model` such as
            `kv.models.HED`, or what `kv.export.load` returns.
        dataset: batches of `(images, truth)`, as `kv.data.batches` gives; pairs of one image
            `(height, width, channels)` and its truth; or examples as `kv.data.load` gives, dicts of
            `image` and `edge_annotations` or `edges`. A truth is `(height, width)` or `(height,
            width, annotators)`, or a list with a mask for each annotator: 1 on lines of one pixel's
            width, 0 off them, 255 where nothing counts; a mask of nothing but 255 is none. Numbers
            between are the share of people who drew a line: above one half it is one, up to there
            nothing counts, as in HED's training. Of a dict, `"fuse"` is taken.
            Examples are judged in their own size, as the benchmark does: where the model has one of
            its own, the picture is resized to that, and the edges back.
        tolerance: distance that counts as the same place, as a share of the picture's diagonal.
        thresholds: how many, evenly spaced between 0 and 1; or a list of them.
        thinning: whether to suppress non-maxima first, across the edges' directions, and thin what
            is left above each threshold. Maps of one pixel's width can do without.
        progress: whether to print a line for each ten pictures.
        each: a function that is called for each picture with the image, the edges that the model
            finds `(height, width)` and the list of drawn masks, so that one pass scores a model and
            collects pictures.

    Returns:
        A dict that JSON can hold: `images`, `ods` (F1 at the best threshold for all) with
        `ods_threshold`, `ods_precision` and `ods_recall`, `ois` (F1 with each picture's own best
        threshold), `average_precision` (the area under the curve, from the lowest recall on that
        there is), `tolerance`, and the lists `thresholds`, `precision` and
        `recall`.

    Raises:
        ValueError: where there are no pictures, shapes differ, a mask holds other values, or the
            model's numbers are not 0..1.

    Differs from the paper: matching is of the largest number of pairs, by augmenting paths, where
    the benchmark's program minimises the sum of distances too: the counts are the same but for its
    heuristics. ODS takes the best of `thresholds`, without interpolating between them.

    Reference:
        Arbelaez, Maire, Fowlkes, Malik: Contour detection and hierarchical image segmentation,
        2011, section 3.

    Example:

    >>> class Sees:
    ...     def predict(self, images, batch_size):
    ...         return images / 255.0
    >>> lines = np.eye(32)[None, :, :, None]
    >>> evaluate_edges(Sees(), [(255 * lines, lines)])["ods"]
    1.0
    """
    levels, tables = cut_offs(thresholds), []
    for image, scores, truths in _examples(model, dataset):
        tables.append(edge_counts(scores, truths, tolerance, levels, thinning))
        if each:
            each(image, scores, truths)
        if progress and len(tables) % 10 == 0:
            print(f"{len(tables)} pictures", flush=True)
    return edge_summary(tables, tolerance, levels)


def edge_scores(maps, truths, tolerance=0.0075, thresholds=99, thinning=True):
    """Scores edge maps that are there already, whoever made them.

    Args:
        maps: one `(height, width)` or `(height, width, 1)`, 0..1, for each picture.
        truths: one for each map, as in `evaluate_edges`, as are the other arguments.

    Returns:
        The dict of `evaluate_edges`.

    Raises:
        ValueError: where numbers or shapes differ, there are no pictures, or a mask holds other
            values.

    Example:

    >>> truth = np.eye(32, dtype="uint8")
    >>> edge_scores([0.8 * truth], [truth], thinning=False)["ods"]
    1.0
    """
    levels, maps, truths = cut_offs(thresholds), list(maps), list(truths)
    if len(maps) != len(truths):
        raise ValueError(
            "There must be a truth for each edge map. Received: "
            f"{len(maps)} maps, {len(truths)} truths"
        )
    pairs = [as_planes(*pair) for pair in zip(maps, truths, strict=True)]
    tables = [edge_counts(*pair, tolerance, levels, thinning) for pair in pairs]
    return edge_summary(tables, tolerance, levels)


def edge_maps(model, images):
    """Returns the edges that a model finds in a batch: float32 `(n, height, width)`, 0..1.

    Args:
        model: as in `evaluate_edges`.
        images: `(n, height, width, channels)`, pixels 0..255.

    Raises:
        ValueError: where the model gives something else.
    """
    options = {"verbose": 0} if hasattr(model, "fit") else {}
    maps = fused(model.predict(images, batch_size=len(images), **options))
    if maps.ndim != 4 or maps.shape[-1] != 1 or not ((maps >= 0) & (maps <= 1)).all():
        raise ValueError(
            "`model` must give edges of shape (n, height, width, 1), 0..1. Received: shape "
            f"{maps.shape}, {maps.min()} to {maps.max()}. Build it with "
            "classifier_activation='sigmoid'."
        )
    return maps[..., 0].astype("float32")


def fused(outputs):
    """Returns the fused map of a model's outputs, or its only one, as an array."""
    return np.asarray(outputs["fuse"] if isinstance(outputs, dict) else outputs)


def as_planes(scores, truth):
    """Returns an edge map `(height, width)` and the list of masks that it is compared with.

    Args:
        scores: `(height, width)` or `(height, width, 1)`.
        truth: as in `evaluate_edges`.

    Returns:
        float64 `(height, width)`, and a list of uint8 masks of that size: 0, 1 or 255.

    Raises:
        ValueError: where sizes differ or a mask holds other values.
    """
    scores = np.asarray(scores, "float64")
    scores = scores[..., 0] if scores.ndim == 3 and scores.shape[-1] == 1 else scores
    masks = [mask for part in _parts(truth) for mask in _channels(part)]
    if not masks or any(plane.shape != scores.shape for plane in masks):
        raise ValueError(
            "An edge map and its truths must be of one size, (height, width). Received: "
            f"{[plane.shape for plane in (scores, *masks)]}"
        )
    masks = [_consensus(mask) for mask in masks]
    told = [mask for mask in masks if not (mask == VOID).all()]
    return scores, told or masks[:1]


def _parts(truth):
    truth = truth["fuse"] if isinstance(truth, dict) else truth
    return truth if isinstance(truth, (list, tuple)) else [truth]


def _channels(mask):
    mask = np.asarray(mask)
    return list(np.moveaxis(mask, -1, 0)) if mask.ndim == 3 else [mask]


def _consensus(mask):
    """1 where more than half of the people drew a line, 0 where nobody, 255 between or unknown."""
    void = mask == VOID
    if not (void | ((mask >= 0) & (mask <= 1))).all():
        raise ValueError(
            f"A truth must hold 0, 1 (edge), shares between or {VOID} (does not count). Received: "
            f"{np.unique(mask)[:8]}"
        )
    return np.where(void | ((mask > 0) & (mask <= 0.5)), VOID, mask > 0.5).astype("uint8")


def _examples(model, dataset):
    """Images, with edge maps and lists of drawn masks, both `(height, width)`."""
    for element in dataset:
        if isinstance(element, dict):
            truth = np.asarray(element.get("edge_annotations", element.get("edges")))
            image = np.asarray(element["image"])
            yield image, *as_planes(_in_own_size(model, image), truth)
            continue
        image, truth = np.asarray(element[0]), element[1]
        if image.ndim == 3:
            image, truth = image[None], [truth]
        elif isinstance(truth, dict):
            truth = truth["fuse"]
        for one, scores, drawn in zip(image, edge_maps(model, image), truth, strict=True):
            yield one, *as_planes(scores, drawn)


def _in_own_size(model, image):
    """The edges of one picture in its size, whatever size the model works in."""
    height, width, channels = tuple(model.input_shape)[-3:]
    pixels = _resized(image, (height or image.shape[0], width or image.shape[1])).round()
    if pixels.shape[-1] != channels:
        pixels = pixels @ _LUMA if channels == 1 else np.repeat(pixels, channels, axis=-1)
    edges = edge_maps(model, pixels[None])[0]
    return _resized(edges[..., None], image.shape[:2])


def _resized(image, size):
    image = np.asarray(image, "float32")
    if image.shape[:2] == tuple(size):
        return image
    return np.asarray(ops.image.resize(image, size, interpolation="bilinear"))
