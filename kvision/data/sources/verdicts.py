"""Remembers which files of a folder were found good, so that they are checked only once.

The notes live in the user's cache folder, never beside the data. They are a convenience: where
they cannot be read or written, or a file has changed, the file is checked again.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import sys
import tempfile

from kvision.data.sources.image_files import ImageFile, check_files

_VERSION = 4
_MANY = 2000


def check_folder(root, names):
    """Checks the image files of a folder, or remembers what an earlier check found.

    Args:
        root: the folder, an absolute path.
        names: paths of files relative to `root`.

    Returns:
        A list of `ImageFile`, one for each name.
    """
    return remembered(root, names, check_files, _recall_image)


def remembered(root, names, check, recall, kind="images"):
    """Checks the files of a folder, but for those that were checked and have not changed.

    Args:
        root: the folder, an absolute path.
        names: paths of files relative to `root`.
        check: function of a list of absolute paths that returns a dataclass for each.
        recall: function that makes such a dataclass of its fields as JSON gives them back, or
            raises a TypeError or ValueError.
        kind: what the files are; each kind has notes of its own.

    Returns:
        A list of dataclasses, one for each name.
    """
    notes = _read(root, kind)
    stamps = [_stamp(os.path.join(root, name)) for name in names]
    verdicts = [
        _recall(notes.get(name), stamp, recall) for name, stamp in zip(names, stamps, strict=True)
    ]
    new = [i for i, verdict in enumerate(verdicts) if verdict is None]
    if len(new) >= _MANY:
        text = f"Checking {len(new):,} {kind} in {root} (once; the result is remembered) ..."
        print(text, file=sys.stderr, flush=True)
    for i, verdict in zip(new, check([os.path.join(root, names[i]) for i in new]), strict=True):
        verdicts[i] = verdict
    if new:
        _write(root, kind, names, stamps, verdicts)
    return verdicts


def _stamp(path):
    status = os.stat(path)
    return [status.st_size, status.st_mtime_ns]


def _recall(note, stamp, recall):
    try:
        size, changed, *fields = note
        return recall(*fields) if [size, changed] == stamp else None
    except (TypeError, ValueError):
        return None


def _recall_image(decoder, orientation, reason, size, turned):
    if decoder not in (0, 1, 2) or not 1 <= orientation <= 8:
        return None
    height, width = size
    size = int(height), int(width)
    return ImageFile(int(decoder), int(orientation), reason, size, bool(turned))


def _file(root, kind):
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:24]
    return pathlib.Path(base, "kvision", "checked", f"{digest}-{kind}.json")


def _read(root, kind):
    try:
        content = json.loads(_file(root, kind).read_text("utf-8"))
        return dict(content["files"]) if content["version"] == _VERSION else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _write(root, kind, names, stamps, verdicts):
    files = {
        name: [*stamp, *dataclasses.astuple(verdict)]
        for name, stamp, verdict in zip(names, stamps, verdicts, strict=True)
    }
    path = _file(root, kind)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written aside and renamed, because another process may be doing the same.
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            json.dump({"version": _VERSION, "folder": str(root), "files": files}, file)
        os.replace(file.name, path)
    except (OSError, UnicodeError):
        return
