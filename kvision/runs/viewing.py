"""What `kvision predict` says of a photo and draws: classes, masks, boxes, heat maps."""

import numpy as np

from kvision import data, evaluation, export, models, visualize
from kvision.models.activation_maps import enlargement
from kvision.ops.masks import centre_crop

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

    def save(self, path):
        """Writes a figure of the photos with their classes."""
        names = names_of(self.loaded, len(self.scores[0]))
        visualize.predictions(self.pictures, self.scores, names).savefig(path)


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

    def save(self, path):
        """Writes a figure of the photos under their masks."""
        names = names_of(self.loaded, self.classes)
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
        """Writes the photo with its boxes in its own size, or a figure of several photos."""
        from PIL import Image

        classes = [part["classes"].max(initial=-1) for part in self.found]
        names = names_of(self.loaded, max(classes) + 1)
        if len(self.pictures) > 1:
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
        """Takes a photo, the classifier's scores for it and the names of the classes."""
        label = int(np.argmax(scores))
        enlarged = data.resize_image(photo, self.shape, self.resize)
        maps = self.model.predict_on_batch(enlarged[None].astype("float32"))
        self.maps.append(maps[0, ..., label])
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
