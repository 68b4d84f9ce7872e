"""Where the pictures lie that a file names, on whatever machine it was written."""

import os
import pathlib

from kvision.data.sources.listing import refusal

_NOWHERE = "not in the folder of images"


def find_pictures(root, names, folders=("",)):
    """Finds the pictures that a file names.

    A name is a path inside the folder. Where nothing is, it is that of another machine, with
    slashes or backslashes, and is shortened from the front until something is there:
    `C:\\data\\cam1\\1.png` may be `data/cam1/1.png`, `cam1/1.png` or `1.png`. Where that makes one
    picture of several names, none of them means it: `cam1/1.png` and `cam2/1.png` are two.

    Args:
        root: the real path of the folder that nothing may leave.
        names: the names, as in the file.
        folders: where to look, relative to `root`, in this order.

    Returns:
        A dict of name to the pair of its path relative to `root`, or None, and the reason why it
        has none, or None.
    """
    found = {name: _find(root, name, folders) for name in dict.fromkeys(names)}
    exact = {path for path, whole, _ in found.values() if whole}
    meant = {}
    for name, (path, whole, _) in found.items():
        if path is not None and not whole:
            meant.setdefault(path, {}).setdefault(_parts(name), name)
    places = {}
    for name, (path, whole, reason) in found.items():
        mine, twins = _parts(name), meant.get(path, {}).items()
        twin = next((other for parts, other in twins if parts != mine), None)
        if path is not None and not whole and (twin or path in exact):
            other = f"{twin!r}" if twin else f"{path!r}, which is named too"
            reason = f"it is not there, and {path!r} may as well be {other}"
        places[name] = (None if reason else path, reason)
    return places


def outside(root, name):
    """Why the image of this name is none of the folder's, or None."""
    path = os.path.join(root, name)
    if os.path.isabs(name) or ".." in pathlib.PurePath(name).parts:
        return "a name that leaves the folder"
    return refusal(root, path) if os.path.lexists(path) else _NOWHERE


def _find(root, name, folders):
    """The path of a picture, whether its whole name led there, and why there is none."""
    reasons = []
    for whole, tail in _tails(name):
        for folder in folders:
            place = os.path.join(folder, tail)
            reason = outside(root, place)
            if reason is None:
                return os.path.normpath(place), whole, None
            reasons.append(reason)
    telling = [reason for reason in reasons if reason != _NOWHERE]
    return None, False, telling[0] if telling else _NOWHERE


def _tails(name):
    """The name, then what is left of it without its first folders; each with whether it is whole.

    What goes up is no part of it: the folder "../images" may be any.
    """
    yield True, name
    parts = _parts(name)
    if "/".join(parts) == name.removeprefix("./").replace("\\", "/"):
        yield True, "/".join(parts)
    for start in range(len(parts)):
        yield False, "/".join(parts[start:])


def _parts(name):
    """The folders of a name and its end, without a drive, and from the last ".." on."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    ups = [place for place, part in enumerate(parts) if part == ".."]
    parts = parts[ups[-1] + 1 :] if ups else parts
    return tuple(parts[1:] if parts and parts[0].endswith(":") else parts)
