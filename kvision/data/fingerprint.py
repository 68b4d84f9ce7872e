"""Whether data are what they were: a short text for a long listing."""

import dataclasses
import hashlib
import json
import os
import zlib

import numpy as np


def fingerprint(info):
    """A short text that changes when the data of a source do.

    Use it to notice, when a killed training is started again, that pictures were added, removed,
    replaced or sorted into other classes. It depends on the names and sizes of the pictures in
    their folder, or on the arrays of an `.npz` file, on how often each class occurs, and on the
    order of the examples; not on where the folder lies, nor on dates. Pictures are not opened for
    it: one that was painted over and kept its size is not noticed.

    Args:
        info: what `kv.data.load(source, with_info=True)` tells of the source.

    Returns:
        A line of text.

    Example:

    >>> import kvision as kv
    >>> kv.data.fingerprint(kv.data.load("digits", with_info=True)[1])[:20]
    'train 1437, test 360'
    """
    counts = {name: getattr(split, "class_counts", None) for name, split in info.splits.items()}
    known = [counts, info.class_names, info.listing]
    digest = hashlib.sha256(json.dumps(known, default=str).encode("utf-8", "backslashreplace"))
    sizes = ", ".join(f"{name} {split.num_examples}" for name, split in info.splits.items())
    return f"{sizes} ({digest.hexdigest()[:12]})"


def listed(source, options):
    """The info of an opened source, with the digest of its examples.

    Args:
        source: an opened source: its `splits` are rows that begin with the path of a picture, or
            its `arrays` are what is served.
        options: what else its examples depend on.
    """
    digest = hashlib.sha256(repr(sorted(options.items())).encode("utf-8", "backslashreplace"))
    for split, arrays in getattr(source, "arrays", {}).items():
        checks = [zlib.crc32(np.ascontiguousarray(array)) for array in arrays]
        digest.update(repr((split, checks)).encode())
    splits = {
        split: [os.fspath(row["file"][0] if isinstance(row, dict) else row[0]) for row in rows]
        for split, rows in getattr(source, "splits", {}).items()
    }
    every = [path for paths in splits.values() for path in paths]
    root = os.path.commonpath([os.path.dirname(path) for path in every]) if every else b""
    for split, paths in splits.items():
        digest.update(split.encode())
        for path in paths:
            digest.update(os.path.relpath(path, root) + b"%d" % os.stat(path).st_size)
    return dataclasses.replace(source.info, listing=digest.hexdigest())
