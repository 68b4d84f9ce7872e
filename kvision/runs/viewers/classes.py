"""What a whole photo shows."""

import numpy as np

from kvision import data, visualize
from kvision.ops.scores import INDEPENDENT, by_class, meaning_of, probabilities
from kvision.runs.viewers import names_of


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
        names = self.names()
        best = np.argsort(-scores, kind="stable")[: self.top]
        return ", ".join(f"{names[i]} {scores[i]:.1%}" for i in best)

    def names(self):
        """Returns the names of the classes, or numbers in their place."""
        return names_of(self.loaded, self.answers.shape[1])

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
        visualize.predictions(self.pictures, self.scores, self.names()).savefig(path)
