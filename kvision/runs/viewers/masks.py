"""What every pixel of a photo shows."""

import numpy as np

from kvision import data, evaluation, visualize
from kvision.ops.masks import centre_crop
from kvision.ops.scores import classes_of_pixels
from kvision.runs.viewers import at_most, names_of


class MaskViewer:
    """The class of every pixel."""

    def __init__(self, loaded, resize, top, tiles=False):
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
