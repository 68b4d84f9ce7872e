"""What belongs to what in a file of COCO instances: ids, classes, and pictures by their paths."""

import os

from kvision.data.info import SkippedFile
from kvision.data.sources.places import find_pictures


def as_key(number):
    """An id as text, because some programs write 7 here and "7" there.

    Raises:
        ValueError: if it is neither a whole number nor text.
    """
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, (int, str)):
        raise ValueError(f"an id must be a whole number or text, not {number!r}")
    return str(number).strip()


def key_or_none(number):
    """`as_key`, or None for what is no id."""
    try:
        return as_key(number)
    except ValueError:
        return None


def read_classes(path, categories):
    """The classes of a file, in their order.

    Args:
        path: the file.
        categories: list of (id, name).

    Returns:
        The triple of the names, a dict of id (`as_key`) to index into them, and lines that the
        user should read. Categories of the same name are one class.

    Raises:
        ValueError: if one id means two names.
    """
    name_of, ids = {}, {}
    for number, name in categories:
        key = as_key(number)
        if name_of.setdefault(key, name) != name:
            raise ValueError(
                f"The categories of {path} must have ids of their own. Received: the id {key} for "
                f"{name_of[key]!r} and for {name!r}. Give one of them another id, and say so in "
                "its annotations."
            )
        ids.setdefault(name, {})[key] = None
    index = {name: place for place, name in enumerate(ids)}
    notes = [
        f"The categories {' and '.join(keys)} of {path} are all called {name!r}: they are one class"
        for name, keys in ids.items()
        if len(keys) > 1
    ]
    return list(ids), {key: index[name] for key, name in name_of.items()}, notes


def read_pictures(root, images, annotations):
    """The pictures that a file names, and whose annotations are whose.

    Args:
        root: the real path of the folder of the images.
        images: list of dicts with `id` and `file_name`.
        annotations: list of dicts with `image_id`.

    Returns:
        The triple of a dict of path relative to `root` to the pair of the images (more than one
        where the file names a picture twice) and of the annotations, of the `SkippedFile`s of what
        is not there or of two minds, and of lines that the user should read.
    """
    named = {}
    for image in images:
        named.setdefault(as_key(image["id"]), {})[image["file_name"]] = image
    mine = {}
    for annotation in annotations:
        mine.setdefault(key_or_none(annotation.get("image_id")), []).append(annotation)
    refused, pictures = _clashes(named), {}
    places = find_pictures(root, [name for entries in named.values() for name in entries])
    for key, entries in named.items():
        if len(entries) > 1:
            continue
        ((name, image),) = entries.items()
        place, reason = places[name]
        if reason:
            refused.append(SkippedFile(name, reason))
            continue
        known, regions = pictures.setdefault(place, ([], []))
        known.append(image)
        regions += mine.get(key, [])
    refused += [
        SkippedFile(f"image {key}", f"{len(regions)} annotation(s) of it, and it is not listed")
        for key, regions in mine.items()
        if key not in named
    ]
    notes = [
        f"{os.path.basename(place)} is there {len(known)} times, with the ids "
        f"{' and '.join(as_key(image['id']) for image in known)}: it is one picture with all of "
        "their annotations"
        for place, (known, _) in pictures.items()
        if len(known) > 1
    ]
    return pictures, refused, notes


def _clashes(named):
    """What to say of the pictures whose id is that of another."""
    return [
        SkippedFile(name, f"its id {key} is that of {min(set(names) - {name})!r} too")
        for key, names in named.items()
        if len(names) > 1
        for name in names
    ]
