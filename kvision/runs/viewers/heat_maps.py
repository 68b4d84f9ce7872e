"""Where in a photo the evidence for its class is."""

import numpy as np

from kvision import data, export, models, visualize
from kvision.models.activation_maps import enlargement
from kvision.runs.viewers import at_most


class HeatMapViewer:
    """Photos with maps of the evidence for their best class."""

    def __init__(self, loaded, resize):
        if loaded.kind != "keras":
            raise ValueError(
                "--heatmap needs the Keras model. Pass model.keras, or a run folder with one in "
                f"it. Received: {loaded.path}"
            )
        self.resize = resize
        self.model = models.class_activation_maps(export.load_keras(loaded.path))
        size, self.margins = enlargement(self.model, loaded.input_shape[:2])
        self.shape = (*size, loaded.input_shape[2])
        self.photos, self.maps, self.titles = [], [], []

    def add(self, photo, view):
        """Takes a photo and the `ClassViewer` that has just looked at it."""
        scores, names = view.scores[-1], view.names()
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

    def note(self):
        """Returns what the figure shows."""
        rows, columns = self.maps[0].shape
        few = "\nSo few positions say little; a model with a larger input has more."
        told = f"evidence at {rows}x{columns} positions of each photo"
        return told + few * (min(rows, columns) < 4)
