"""Class names and colours from the small text files that lie beside masks."""

import os
import re

from kvision.data.sources.listing import refusal
from kvision.files.names import check_different
from kvision.files.text import read_text

NAME_FILES = ("classes.txt", "class_names.txt", "labels.txt", "label_names.txt", "names.txt")
COLOUR_FILES = ("label_colors.txt", "colors.txt", "labelmap.txt", "class_dict.csv")
# Entries of this name are no class: their pixels are void. "__ignore__" is labelme's.
VOID_NAMES = frozenset(
    ("void", "ignore", "ignored", "__ignore__", "unlabeled", "unlabelled", "unknown", "unlabel")
)
_NUMBERS = r"(\d{1,3})[\s,;]+(\d{1,3})[\s,;]+(\d{1,3})"
_LONGEST = 1000  # letters; to look for a name before a colour takes their square
_COLOUR_FIRST = re.compile(rf"^{_NUMBERS}(?:[\s,;]+(.+))?$")
_NAME_FIRST = re.compile(rf"^(.+?)[\s,;:]+{_NUMBERS}(?:\s*:.*)?$")


def read_class_files(root):
    """The class names and colours that a folder of masks tells of itself.

    A file of names holds one a line, a file of colours `red green blue name` or `name red green
    blue`, separated by spaces, commas or tabs (CamVid's label_colors.txt, CVAT's labelmap.txt).
    Where it gives no names, they are those of the file of names in the same order.

    Args:
        root: the folder, a real path.

    Returns:
        The triple of a list of names or None, a dict of name to (red, green, blue) or None, and
        the list of colours that mean void because they are called so.

    Raises:
        ValueError: if a file holds something else.
    """
    names, colours = None, None
    for name in (*COLOUR_FILES, *NAME_FILES):
        path = os.path.join(root, name)
        if not os.path.isfile(path) or refusal(root, path):
            continue
        lines = _lines(path)
        entries = [_colour_of(line) for line in lines]
        if colours is None and any(entries) and _all_colours(entries, lines, name):
            colours = [entry for entry in entries if entry]
        elif names is None and not any(entries):
            names = [line for line in lines if line.lower() != "__ignore__"]
    return _joined(names, colours, root)


def named_colours(triples, names=None):
    """A dict of name to colour of colours in the order of their classes."""
    names = names or [f"class {index}" for index in range(len(triples))]
    if len(names) != len(triples):
        raise ValueError(
            "There must be as many class names as colours. "
            f"Received: {len(names)} names and {len(triples)} colours"
        )
    return dict(zip(names, triples, strict=True))


def _joined(names, colours, root):
    if colours is None:
        return names, None, []
    named = [name for _, name in colours]
    if not all(named):
        named = names or [f"class {index}" for index in range(len(colours))]
    if len(named) != len(colours):
        raise ValueError(
            f"The files of names and of colours in {root} must have as many lines. "
            f"Received: {len(named)} names and {len(colours)} colours"
        )
    voids = [rgb for (rgb, _), name in zip(colours, named, strict=True) if is_void(name)]
    kept = [(name, rgb) for (rgb, _), name in zip(colours, named, strict=True) if not is_void(name)]
    check_different([name for name, _ in kept], f"The class names beside the masks in {root}")
    return names, dict(kept), voids


def is_void(name):
    """Whether an entry of this name is no class."""
    return name.lower() in VOID_NAMES


def _lines(path):
    lines = [line.strip() for line in read_text(path).splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _colour_of(line):
    """((red, green, blue), name or None) of one line, or None if it holds no colour."""
    if len(line) > _LONGEST:
        return None
    match = _COLOUR_FIRST.match(line)
    if match:
        rgb, name = match.groups()[:3], match[4]
    else:
        match = _NAME_FIRST.match(line)
        if not match:
            return None
        rgb, name = match.groups()[1:], match[1]
    rgb = tuple(int(number) for number in rgb)
    return (rgb, name.strip(" ,;:") if name else None) if max(rgb) <= 255 else None


def _all_colours(entries, lines, name):
    # The first line of a table in CSV may say what its columns are.
    missing = [line for entry, line in zip(entries, lines, strict=True) if entry is None]
    if missing and not (entries[0] is None and len(missing) == 1):
        raise ValueError(
            f"Every line of {name} must hold a colour and a name, such as '128 0 0 building'. "
            f"Received: {missing[-1][:80]!r}"
        )
    return True
