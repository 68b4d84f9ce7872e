"""The edges in a photo."""

from kvision import data, visualize
from kvision.evaluation.edges import fused
from kvision.ops.scores import BINARY, probabilities
from kvision.runs.viewers import at_most

SURE = 0.5  # from which a pixel is told of as an edge


class EdgeViewer:
    """How sure a network is of an edge at every pixel."""

    def __init__(self, loaded, resize):
        self.loaded, self.resize = loaded, resize
        self.pictures, self.maps = [], []

    def look(self, photo):
        """Takes a photo, uint8 (height, width, 3); returns a line of text about it."""
        picture = data.resize_image(photo, self.loaded.input_shape, self.resize)
        scores = fused(self.loaded.predict(picture[None]))
        edges = probabilities(scores, BINARY)[0][0]
        # The figure keeps the photo's own shape where the model is shown all of it.
        self.pictures.append(at_most(photo if self.resize == "stretch" else picture))
        self.maps.append(edges)
        return f"edges at {(edges > SURE).mean():.1%} of the pixels, the surest {edges.max():.1%}"

    def save(self, path):
        """Writes a figure of the photos beside their edges, dark on white."""
        visualize.edges(self.pictures, None, self.maps).savefig(path)
