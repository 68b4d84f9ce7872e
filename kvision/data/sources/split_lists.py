"""Files that say which pictures are to train, validate and test on."""

import os
import re

from kvision.data.sources.listing import entries, folders, looks_like_image, refusal
from kvision.data.sources.splits import ALIASES
from kvision.files.text import read_text

_BOTH = "trainval.txt"
_COLUMNS = re.compile(r"(\s+-?\d+)+$")  # "Abyssinian_100 1 1 1", "000012 -1"


def split_lists(root, places, known):
    """The lists `train.txt`, `val.txt` and `test.txt` of the first folder that has one.

    Args:
        root: the folder, a real path.
        places: where to look, relative to `root`.
        known: what the lines can mean: a container of stems.

    Returns:
        A dict of split name to stems, in the order of the splits; empty without lists. Lines that
        mean none of the known stems are in it as they are: they are looked up, never opened.
        `trainval.txt` is "train" where there is neither `train.txt` nor `val.txt`.
    """
    for folder in places:
        wanted = {split: [] for split in dict.fromkeys(ALIASES.values())}
        for split, path in _lists(root, folder):
            wanted[split] += _stems(path, known)
        if not wanted["train"] and not wanted["validation"]:
            path = os.path.join(root, folder, _BOTH)
            wanted["train"] = _stems(path, known) if _is_list(root, path) else []
        if any(wanted.values()):
            return {split: list(dict.fromkeys(stems)) for split, stems in wanted.items() if stems}
    return {}


def files_of_splits(path, name):
    """Where a file of this name lies in a folder, or in those of train, val and test in it.

    Returns:
        A list of (split name, folder relative to `path`); the folder itself is "train".
    """
    tops = [("train", ""), *((ALIASES.get(top.lower()), top) for top in folders(path))]
    return [
        (split, top)
        for split, top in tops
        if split and os.path.isfile(os.path.join(path, top, name))
    ]


def _lists(root, folder):
    place = os.path.join(root, folder)
    for entry in entries(place) if os.path.isdir(place) else ():
        stem, ending = os.path.splitext(entry.name.lower())
        if ending == ".txt" and stem in ALIASES and _is_list(root, entry.path):
            yield ALIASES[stem], entry.path


def _is_list(root, path):
    return os.path.isfile(path) and refusal(root, path) is None


def _stems(path, known):
    lines = [line.strip() for line in read_text(path).splitlines()]
    return [_stem(line, known) for line in lines if line and not line.startswith("#")]


def _stem(line, known):
    """The stem that a line means: it may be a path with an ending, and have further columns."""
    for text in (line, _COLUMNS.sub("", line), line.split()[0]):
        whole = os.path.splitext(text)[0] if looks_like_image(text) else text
        parts = whole.replace("\\", "/").split("/")
        for stem in (text, *("/".join(parts[start:]) for start in range(len(parts)))):
            if stem in known:
                return stem
    return line
