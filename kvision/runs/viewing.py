"""What `kvision predict` says of a photo and draws: classes, masks, heat maps."""

import numpy as np

from kvision import data, evaluation, export, models, visualize
from kvision.models.activation_maps import enlargement
from kvision.ops.masks import centre_crop

SIDE = 480  # the longer side of a photo in a figure


def viewer(loaded, resize="stretch", top=3, tiles=False):
    """The viewer for a model: a `MaskViewer` for segmenters, else a `ClassViewer`.

    Args:
        loaded: what `kv.export.load` returned; its input size must be known.
        resize: how photos get that size: `"stretch"`, `"crop"` or `"pad"`.
        top: how many classes to name.
        tiles: whether a segmenter looks at photos in their own size, tile by tile.

    Raises:
        ValueError: where `tiles` is asked for and the model is no segmenter.
    """
    if is_segmenter(loaded):
        return MaskViewer(loaded, resize, top, tiles)
    if tiles:
        raise ValueError(
            f"--tiles is for models that give a class to every pixel. Received: {loaded.path}"
        )
    return ClassViewer(loaded, resize, top)


def is_segmenter(loaded):
    """Whether a loaded model answers for every pixel: asked by showing it a black picture."""
    outputs = loaded.predict(np.zeros((1, *loaded.input_shape), "uint8"))
    return not isinstance(outputs, dict) and outputs.ndim == 4


def names_of(loaded, count):
    """The model's class names, or numbers in their place."""
    return loaded.labels or [f"class {i}" for i in range(count)]


class ClassViewer:
    """Scores of whole photos."""

    def __init__(self, loaded, resize, top):
        self.loaded, self.resize, self.top = loaded, resize, top
        self.pictures, self.scores = [], []

    def look(self, photo):
        """Takes a photo, uint8 (height, width, 3); returns a line of text about it."""
        picture = data.resize_image(photo, self.loaded.input_shape, self.resize)
        scores = self.loaded.predict(picture[None])[0]
        self.pictures.append(picture)
        self.scores.append(scores)
        names = names_of(self.loaded, len(scores))
        best = np.argsort(-scores)[: self.top]
        return ", ".join(f"{names[i]} {scores[i]:.1%}" for i in best)

    def figure(self):
        names = names_of(self.loaded, len(self.scores[0]))
        return visualize.predictions(self.pictures, self.scores, names)


class MaskViewer:
    """The class of every pixel."""

    def __init__(self, loaded, resize, top, tiles):
        self.loaded, self.resize, self.top, self.tiles = loaded, resize, top, tiles
        self.pictures, self.masks, self.classes = [], [], 0

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
        mask = outputs.argmax(-1) if scored else outputs[..., 0].astype(int)
        self.classes = max(self.classes, outputs.shape[-1] if scored else mask.max() + 1)
        self._keep(photo, picture, mask)
        shares = np.bincount(mask.ravel(), minlength=self.classes) / mask.size
        names = names_of(self.loaded, self.classes)
        best = [i for i in np.argsort(-shares, kind="stable")[: self.top] if shares[i] > 0]
        # A network that does not pad answers for the middle of what it sees.
        middle = "" if mask.shape == picture.shape[:2] else " in the middle (see --tiles)"
        return f"pixels{middle}: " + ", ".join(f"{names[i]} {shares[i]:.1%}" for i in best)

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

    def figure(self):
        names = names_of(self.loaded, self.classes)
        return visualize.overlays(self.pictures, self.masks, names)


class HeatMapViewer:
    """Photos with maps of the evidence for their best class."""

    def __init__(self, loaded, resize):
        if loaded.kind != "keras":
            raise ValueError(
                "--heatmap needs the Keras model. Pass model.keras, or a run folder with one in "
                f"it. Received: {loaded.path}"
            )
        if is_segmenter(loaded):
            raise ValueError(
                "--heatmap is for classifiers; this model gives a class to every pixel. "
                f"Use --save. Received: {loaded.path}"
            )
        self.resize = resize
        self.model = models.class_activation_maps(export.load_keras(loaded.path))
        size, self.margins = enlargement(self.model, loaded.input_shape[:2])
        self.shape = (*size, loaded.input_shape[2])
        self.photos, self.maps, self.titles = [], [], []

    def add(self, photo, scores, names):
        """Takes a photo, the classifier's scores for it and the names of the classes."""
        label = int(np.argmax(scores))
        enlarged = data.resize_image(photo, self.shape, self.resize)
        maps = self.model.predict_on_batch(enlarged[None].astype("float32"))
        self.maps.append(maps[0, ..., label])
        # The figure keeps the photo's own shape where the model is shown all of it.
        self.photos.append(at_most(photo if self.resize == "stretch" else enlarged))
        self.titles.append(f"{names[label]}  {scores[label]:.0%}")

    def figure(self):
        return visualize.heatmaps(self.photos, self.maps, self.titles, self.margins)


def at_most(photo):
    """A photo with `SIDE` pixels on its longer side."""
    scale = SIDE / max(photo.shape[:2])
    size = [max(1, round(length * scale)) for length in photo.shape[:2]]
    return data.resize_image(photo, (*size, photo.shape[2]))
