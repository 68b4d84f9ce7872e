"""Pictures as R-CNN learns from them: truths and proposals with their features, kept on disk."""

import hashlib
import os
import tempfile
import zipfile
from pathlib import Path

import keras
import numpy as np

from kvision.classical.pictures import as_boxes, as_pixels
from kvision.ops import boxes as box_ops

NEAR = 0.6  # overlap from which a region teaches how to move boxes
IGNORED = 0.5  # share of a region on a crowd or a difficult object from which it is no background


def overlaps(boxes, others):
    """IoU of each box with each other, NumPy in and out, also where there are none."""
    if not len(boxes) or not len(others):
        return np.zeros((len(boxes), len(others)), "float32")
    return keras.ops.convert_to_numpy(box_ops.iou(boxes, others))


def on_ignored(boxes, ignored):
    """Which boxes lie mostly on something that training leaves out."""
    if not len(boxes) or not len(ignored):
        return np.zeros(len(boxes), bool)
    shares = keras.ops.convert_to_numpy(box_ops.share(boxes, ignored))
    return shares.max(axis=1) >= IGNORED


def describe(regions, image, truth, proposals):
    """All that is learned from one picture.

    Args:
        regions: a `RegionFeatures`.
        image: the picture.
        truth: its `boxes`, `classes` and `ignored`, without padding.
        proposals: array `(n, 4)`.

    Returns:
        A dict of arrays: `boxes` (truths, then proposals), their `features`, the indices `near` of
        those that overlap a truth by 0.6 or more with their `near_features`, and the truth.
    """
    boxes = np.concatenate([truth["boxes"], as_boxes(proposals)])
    near = np.flatnonzero(overlaps(boxes, truth["boxes"]).max(axis=1, initial=0.0) >= NEAR)
    features, maps = regions(image, boxes)
    return {
        "boxes": boxes,
        "features": features,
        "near": near,
        "near_features": maps[near],
        "truth_boxes": truth["boxes"],
        "truth_classes": truth["classes"],
        "ignored": truth["ignored"],
    }


class Described:
    """Pictures that have been described, in memory or in a folder.

    Args:
        regions: a `RegionFeatures`.
        propose: function from a picture to boxes `(n, 4)`.
        folder: where to keep one file a picture; `None` for memory. A picture whose file is there
            is not computed again, so that work that was interrupted goes on where it stopped. The
            names tell classifier, picture, truth and proposals apart; the folder may be deleted.
    """

    def __init__(self, regions, propose, folder=None):
        self.regions = regions
        self.propose = propose
        self.folder = None if folder is None else Path(folder)
        self.computed = 0
        self._kept = []
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._fingerprint = regions.fingerprint()

    def add(self, image, truth, proposals=None):
        """Describes one more picture, or finds it in the folder."""
        path = None if self.folder is None else self._path(image, truth, proposals)
        if path is None or not _whole(path):
            proposals = self.propose(image) if proposals is None else proposals
            record = describe(self.regions, image, truth, proposals)
            self.computed += 1
            if path is None:
                self._kept.append(record)
                return
            _write(path, record)
        self._kept.append(path)

    def __len__(self):
        return len(self._kept)

    def __getitem__(self, index):
        return self._read(self._kept[index])

    def __iter__(self):
        return (self._read(kept) for kept in self._kept)

    def only(self, *names, every=1):
        """Goes through some of the arrays of every picture, or of every n-th."""
        return (self._read(kept, names) for kept in self._kept[::every])

    @staticmethod
    def _read(kept, names=None):
        if isinstance(kept, dict):
            return {name: kept[name] for name in names or kept}
        with np.load(kept, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names or arrays.files}

    def _path(self, image, truth, proposals):
        digest = hashlib.sha256(self._fingerprint.encode())
        given = repr(self.propose) if proposals is None else as_boxes(proposals)
        for part in (as_pixels(image), *(truth[name] for name in sorted(truth)), given):
            digest.update(part.encode() if isinstance(part, str) else repr(part.shape).encode())
            digest.update(b"" if isinstance(part, str) else np.ascontiguousarray(part).tobytes())
        return self.folder / f"{digest.hexdigest()[:32]}.npz"


def _whole(path):
    return path.is_file() and zipfile.is_zipfile(path)


def _write(path, record):
    """All of the file or nothing, as work may be interrupted."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    with os.fdopen(descriptor, "wb") as file:
        np.savez(file, **record)
    os.replace(temporary, path)
