"""What `kvision predict` says of photos and draws: a viewer has `look(photo)` and `save(path)`."""

from kvision import data
from kvision.ops.scores import names_by_class

SIDE = 480  # the longer side of a photo in a figure


def names_of(loaded, count):
    """Returns the model's class names, or numbers in their place."""
    return names_by_class(loaded.labels, count)


def at_most(photo):
    """Returns a photo with `SIDE` pixels on its longer side."""
    scale = SIDE / max(photo.shape[:2])
    size = [max(1, round(length * scale)) for length in photo.shape[:2]]
    return data.resize_image(photo, (*size, photo.shape[2]))
