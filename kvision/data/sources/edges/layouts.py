"""The layouts in which people keep pictures and the edges drawn in them."""

import dataclasses
import os
import re

from kvision.data.info import SkippedFile
from kvision.data.sources.edges.edge_files import is_matlab
from kvision.data.sources.listing import entries, folders, holds, list_files, refusal
from kvision.data.sources.masks.layouts import images_in, paired_folders
from kvision.data.sources.masks.pairing import match
from kvision.data.sources.places import find_pictures
from kvision.data.sources.splits import ALIASES, ORDER
from kvision.files.text import read_text

EDGE_FOLDERS = (
    "edges",
    "edge",
    "edge_maps",
    "edgemaps",
    "edge_map",
    "boundaries",
    "boundary",
    "contours",
    "outlines",
)
# Where Berkeley's archive keeps what it is about; bench/ holds copies.
_BERKELEY = ("", "data", os.path.join("BSDS500", "data"), os.path.join("BSR", "BSDS500", "data"))
_LIST = re.compile(r"^(\w+?)_?pairs?\.(lst|txt)$")  # "train_pair.lst", as HED's authors have it


@dataclasses.dataclass
class EdgeLayout:
    """What a folder of pictures and edges holds.

    Attributes:
        pairs: dict of split name to (picture, edges) pairs of paths relative to the folder.
        refused: list of `SkippedFile`s.
    """

    pairs: dict
    refused: list = dataclasses.field(default_factory=list)


def find_edges(root):
    """Finds how pictures and edges lie in a folder.

    Args:
        root: the folder, a real path.

    Returns:
        A function without arguments that lists it as an `EdgeLayout`; or None.
    """
    for top in _BERKELEY:
        inside = set(folders(os.path.join(root, top))) if os.path.isdir(f"{root}/{top}") else ()
        truth = os.path.join(root, top, "groundTruth")
        if {"images", "groundTruth"} <= set(inside) and holds(truth, is_matlab):
            return lambda: _berkeley(root, top)
    if lists := _lists(root):
        return lambda: _listed(root, lists)
    places = paired_folders(root, EDGE_FOLDERS)
    return (lambda: _paired(root, places)) if places else None


def _berkeley(root, top):
    """images/train beside groundTruth/train, and so on."""
    layout = EdgeLayout({})
    tops = [os.path.join(top, name) for name in ("images", "groundTruth")]
    for name in folders(os.path.join(root, tops[1])):
        if split := ALIASES.get(name.lower()):
            _pair(root, layout, split, *(os.path.join(folder, name) for folder in tops))
    return _sorted(layout)


def _paired(root, places):
    layout = EdgeLayout({})
    for split, images, edges in places:
        _pair(root, layout, split, images, edges)
    return _sorted(layout)


def _pair(root, layout, split, images, edges):
    pictures, drawn, strange = images_in(root, images, layout.refused), [], []
    list_files(root, edges, drawn, strange)
    matlab = [name for name in drawn if is_matlab(name)]
    chosen = matlab or images_in(root, edges, [])
    pairs, refused = match(pictures, chosen, images, edges, "drawing of edges")
    layout.pairs[split] = [*layout.pairs.get(split, ()), *pairs]
    layout.refused += strange + refused


def _lists(root):
    """The lists in a folder: dict of split to the name of a file."""
    found = {}
    for entry in entries(root):
        named = _LIST.match(entry.name.lower())
        if named and named[1] in ALIASES and refusal(root, entry.path) is None:
            found.setdefault(ALIASES[named[1]], entry.name)
    return found


def _listed(root, lists):
    """Lists with a picture and its edges in each line."""
    layout, rows = EdgeLayout({}), []
    for split, name in lists.items():
        for number, line in enumerate(read_text(os.path.join(root, name)).splitlines(), 1):
            words = line.split()
            if len(words) == 2:
                rows.append((split, *words))
            elif words:
                reason = f"line {number} must name a picture and its edges: {line[:80]!r}"
                layout.refused.append(SkippedFile(name, reason))
    places = find_pictures(root, [name for _, *names in rows for name in names])
    refused = {name: reason for name, (path, reason) in places.items() if path is None}
    layout.refused += [SkippedFile(name, reason) for name, reason in refused.items()]
    for split, *names in dict.fromkeys(rows):
        if not refused.keys() & set(names):
            layout.pairs.setdefault(split, []).append(tuple(places[name][0] for name in names))
    return _sorted(layout)


def _sorted(layout):
    pairs = {split: layout.pairs[split] for split in ORDER if layout.pairs.get(split)}
    return dataclasses.replace(layout, pairs=pairs)
