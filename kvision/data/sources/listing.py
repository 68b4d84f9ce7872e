"""What lies in a folder of data, as a person sees it, and the one warning of what is not served."""

import os
import pathlib
import stat
import warnings

from kvision.data.info import SkippedFile
from kvision.data.sources.image_files import EXTENSIONS
from kvision.files.text import readable

_JUNK = frozenset(("thumbs.db", "desktop.ini", "__macosx", "@eadir"))
SHOWN = 10


def entries(folder):
    """The entries of a folder in the order of their names, without what systems leave behind."""
    found = sorted(os.scandir(folder), key=lambda entry: entry.name)
    return [e for e in found if not e.name.startswith(".") and e.name.lower() not in _JUNK]


def folders(folder):
    """The names of the folders in a folder, in their order, links left out."""
    return [entry.name for entry in entries(folder) if entry.is_dir(follow_symlinks=False)]


def list_files(root, folder, found, refused):
    """Collects the regular files of a folder and all below, none of them outside `root`.

    Args:
        root: the real path that nothing may leave.
        folder: relative to `root`.
        found: list to which the files' paths relative to `root` are added.
        refused: list to which `SkippedFile`s are added.
    """
    for entry in entries(os.path.join(root, folder)):
        name = os.path.join(folder, entry.name)
        if entry.is_dir(follow_symlinks=False):
            list_files(root, name, found, refused)
            continue
        reason = refusal(root, entry.path)
        if reason is None:
            found.append(name)
        else:
            refused.append(SkippedFile(name, reason))


def refusal(root, path):
    """Why a path must not be read as a file of the folder `root` (a real path), or None."""
    target = os.path.realpath(path)
    if not pathlib.PurePath(target).is_relative_to(root):
        return "a link that leaves the folder"
    if not os.path.exists(target):
        return "a link to nothing"
    if os.path.isdir(target):
        return "a link to a folder"
    return None if stat.S_ISREG(os.stat(target).st_mode) else "not a regular file"


def looks_like_image(name):
    """Whether the name ends as that of a picture."""
    return os.path.splitext(name)[1].lower() in EXTENSIONS


def holds(folder, wanted):
    """Whether a folder, or one below, holds a file whose name `wanted` takes."""
    return any(
        holds(entry.path, wanted) if entry.is_dir(follow_symlinks=False) else wanted(entry.name)
        for entry in entries(folder)
    )


def report(path, refused, errors, served, notes=(), repaired=(), what="box(es)"):
    """Warns once of everything that is not served, in the name of the caller of `load`.

    Args:
        path: the source.
        refused: list of `SkippedFile`.
        errors: `"skip"` or `"raise"`.
        served: how many examples are left.
        notes: lines to be said too.
        repaired: list of `RepairedBox`es.
        what: what to call those.

    Raises:
        ValueError: if nothing is left, or with `errors="raise"` if anything was refused or
            repaired.
    """
    lines = _shown(f"{len(refused)} file(s) in {path} cannot be served:", refused, "skipped")
    dropped = sum(box.reason.startswith("dropped") for box in repaired)
    title = f"{len(repaired)} {what} in {path} are wrong ({dropped} of them dropped):"
    lines += _shown(title, repaired, "repaired")
    if errors == "raise" and (refused or repaired):
        raise ValueError("\n".join([*lines, 'Mend or remove them, or pass errors="skip".']))
    lines += notes
    if not served:
        raise ValueError("\n".join([f"{path} holds no image that can be decoded.", *lines]))
    if lines:
        warnings.warn("\n".join(lines), stacklevel=5)


def _shown(title, things, where):
    """Lines that name the first of some things with their reasons."""
    lines = [f"  {readable(thing.name)}: {thing.reason}" for thing in things[:SHOWN]]
    if len(things) > SHOWN:
        lines.append(f"  and {len(things) - SHOWN} more (info.{where} names them all)")
    return [title, *lines] if things else []
