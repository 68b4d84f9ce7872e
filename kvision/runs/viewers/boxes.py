"""The objects in a photo."""

import numpy as np

from kvision import data, visualize
from kvision.runs.viewers import at_most, names_of


class BoxViewer:
    """The objects in photos."""

    def __init__(self, loaded, resize, top, score=0.5):
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
