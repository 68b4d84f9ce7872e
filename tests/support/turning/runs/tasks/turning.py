"""Runs of networks that see two pictures and give an angle."""

import numpy as np

from kvision import data
from kvision.visualize.figure import new_figure

COMPARED = "angles in degrees"


def evaluate(model, batches, class_names, each=None):
    """Returns `pairs` and their `mean_error` and `worst_error` in degrees."""
    errors = []
    for pictures, angles in batches:
        pictures = {name: np.asarray(pixels) for name, pixels in pictures.items()}
        found = np.asarray(model.predict(pictures))[:, 0]
        errors.append(np.abs(found - angles))
        if each:
            each(pictures, found, angles)
    errors = np.concatenate(errors)
    mean, worst = float(errors.mean()), float(errors.max())
    return {"pairs": len(errors), "mean_error": mean, "worst_error": worst}


def lines(metrics):
    """Returns what `kvision evaluate` prints."""
    return [f"{metrics['pairs']} pairs", f"mean error {metrics['mean_error']:.2f} degrees"], [], {}


def section(metrics):
    """Returns the card's section on how good the model is."""
    return f"On {metrics['pairs']} pairs, it is wrong by {metrics['mean_error']:.2f} degrees."


def usage(card, best, shape):
    """Returns the card's section on how to use its files."""
    return f"Give `{best}` two pictures ({shape}): it says by how much the second is turned.\n"


class Pictures:
    """Keeps angles, true and found."""

    def __init__(self):
        self.pairs = []

    def __call__(self, images, outputs, truth):
        self.pairs += zip(np.asarray(truth), outputs, strict=True)

    def figures(self, card):
        """Returns a figure of the found angles over the true ones."""
        figure, axes = new_figure()
        axes[0, 0].scatter(*np.transpose(self.pairs))
        return {"angles": figure}


class Viewer:
    """Says by how much the second of two photos is turned."""

    def __init__(self, loaded, resize, top):
        self.loaded, self.resize, self.told = loaded, resize, []

    def look(self, *photos):
        """Takes two photos; returns a line of text about them."""
        pictures = {
            name: data.resize_image(photo, self.loaded.input_shape[name], self.resize)[None]
            for name, photo in zip(("before", "after"), photos, strict=True)
        }
        self.told.append(f"turned by {self.loaded.predict(pictures)[0, 0]:.1f} degrees")
        return self.told[-1]

    def save(self, path):
        """Writes what was told as a figure."""
        figure, axes = new_figure()
        axes[0, 0].text(0, 0, "\n".join(self.told))
        figure.savefig(path)


viewer = Viewer
