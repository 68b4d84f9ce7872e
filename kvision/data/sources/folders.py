"""A folder of class folders as a source, however dirty."""

import dataclasses
import os

import numpy as np
import tensorflow as tf

from kvision.data.info import (
    DatasetInfo,
    ImageFeature,
    LabelFeature,
    SkippedFile,
    SplitDict,
    SplitInfo,
)
from kvision.data.sources.image_files import decode
from kvision.data.sources.listing import (
    SHOWN,
    entries,
    folders,
    holds,
    list_files,
    looks_like_image,
    report,
)
from kvision.data.sources.masks.layouts import IMAGE_FOLDERS, MASK_FOLDERS
from kvision.data.sources.order import stratified_order
from kvision.data.sources.readable import readable_dataset
from kvision.data.sources.splits import ALIASES, ORDER
from kvision.data.sources.verdicts import check_folder
from kvision.files.text import readable

# Names of folders of pictures, and of what goes with pictures, in layouts other than class folders.
_PICTURES = frozenset((*IMAGE_FOLDERS, "image_2", "data")) - {"x"}
_TRUTHS = frozenset((*MASK_FOLDERS, "ann", "anns", "annots", "xml", "xmls", "bbox", "boxes")) - {
    "y"
}


@dataclasses.dataclass(frozen=True)
class FolderSource:
    """A checked folder: what is known of it, and datasets of pieces of its splits."""

    info: DatasetInfo
    splits: dict

    def dataset(self, pieces):
        """A `tf.data.Dataset` of {"image", "label"} for a list of `SplitPiece`."""
        chosen = [self.splits[piece.name][piece.start : piece.stop] for piece in pieces]
        files = [file for part in chosen for file in part]
        paths, labels, decoders, orientations = zip(*files, strict=True)
        used, rotated = frozenset(decoders), max(orientations) > 1
        with tf.device("CPU:0"):
            paths = tf.constant(list(paths))
            numbers = tf.constant([labels, decoders, orientations], tf.int64)

        def read(row):
            label, decoder, orientation = tf.unstack(numbers[:, row])
            image = decode(paths[row], tf.cast(decoder, tf.int32), orientation, used, rotated)
            return {"image": image, "label": label}

        return readable_dataset(np.arange(len(files)), read)


def image_folder(path, errors="skip", seed=0):
    """Reads a folder of class folders, or one with train, val and test folders of such.

    Args:
        path: the folder.
        errors: "skip" leaves out what cannot be decoded, with one warning that names it; "raise"
            stops instead.
        seed: the order of the examples in each split depends on it.

    Returns:
        A `FolderSource`.

    Raises:
        ValueError: if the folder holds no class folders or no images, or, with
            `errors="raise"`, if any file cannot be served.
    """
    root = os.path.realpath(path)
    layout, notes = _layout(root, path)
    listings = {split: _list_classes(root, top) for split, top in layout.items()}
    classes = sorted({name for listing in listings.values() for name in listing.files})
    names = [
        name for listing in listings.values() for files in listing.files.values() for name in files
    ]
    verdicts = dict(zip(names, check_folder(root, names), strict=True))
    refused = [refusal for listing in listings.values() for refusal in listing.refused]
    refused += [
        SkippedFile(name, verdict.reason)
        for name, verdict in verdicts.items()
        # A note or a table beside the photos is no damaged photo.
        if verdict.reason and not (_is_no_image(verdict) and not looks_like_image(name))
    ]
    splits, infos, empty = {}, {}, []
    for split, listing in listings.items():
        rows = [
            (os.fsencode(os.path.join(root, name)), index, verdict.decoder, verdict.orientation)
            for index, label in enumerate(classes)
            for name in listing.files.get(label, ())
            if (verdict := verdicts[name]).reason is None
        ]
        labels = [row[1] for row in rows]
        counts = np.bincount(np.array(labels, "int64"), minlength=len(classes)).tolist()
        empty += [
            os.path.join(layout[split], label)
            for label, count in zip(classes, counts, strict=True)
            if not count
        ]
        splits[split] = [rows[i] for i in stratified_order(labels, seed)]
        infos[split] = SplitInfo(len(rows), dict(zip(classes, counts, strict=True)))
    served = sum(info.num_examples for info in infos.values())
    report(path, refused, errors, served, [*notes, *_empty_classes(empty)])
    features = {"image": ImageFeature((None, None, 3)), "label": LabelFeature(classes)}
    info = DatasetInfo(str(path), SplitDict(infos), features, tuple(refused))
    return FolderSource(info, splits)


@dataclasses.dataclass
class _Listing:
    files: dict
    refused: list


def is_class_folder(path):
    """Whether a folder may hold class folders, or train, val and test folders of such."""
    root = os.path.realpath(path)
    inside = folders(root)
    return bool(_split_folders(root, inside)) or _may_be_classes(inside) and not _wrap(root, inside)


def _split_folders(root, inside):
    return [
        name
        for name in inside
        if name.lower() in ALIASES and _may_be_classes(folders(os.path.join(root, name)))
    ]


def _may_be_classes(names):
    """Whether folders of these names may be classes, not parts of another layout."""
    words = {name.lower() for name in names} - {"x", "y"}
    if words & _PICTURES and words & _TRUTHS:
        return False
    return bool(names) and not (words and (words <= ALIASES.keys() or words <= _PICTURES))


def _wrap(root, inside):
    """Whether the pictures lie deeper: in folders of one folder, and others hold other files."""
    full = [name for name in inside if holds(os.path.join(root, name), looks_like_image)]
    if len(full) != 1:
        return False
    if any(looks_like_image(entry.name) for entry in entries(os.path.join(root, full[0]))):
        return False
    others = [os.path.join(root, name) for name in inside if name != full[0]]
    return all(holds(other, lambda name: os.path.splitext(name)[1] != "") for other in others)


def _layout(root, path):
    """Split name -> its folder relative to `root` ("" where the classes lie in `root` itself)."""
    inside = folders(root)
    nested = _split_folders(root, inside)
    if not nested:
        return {"train": ""}, []
    layout, unsorted = {}, []
    for name in inside:
        split = ALIASES.get(name.lower())
        if split and name not in nested:
            unsorted.append(f"{name} holds no class folders and is left out")
            continue
        if split is None or split in layout:
            raise ValueError(
                f"{path} must hold either class folders or one train, one val and one test folder "
                f"of class folders, not a mixture. Received: {sorted(inside)}. Move {name!r} away."
            )
        layout[split] = name
    return {split: layout[split] for split in ORDER if split in layout}, unsorted


def _list_classes(root, top):
    listing = _Listing({}, [])
    for entry in entries(os.path.join(root, top)):
        name = os.path.join(top, entry.name)
        if entry.is_dir(follow_symlinks=False):
            files = listing.files.setdefault(readable(entry.name), [])
            list_files(root, name, files, listing.refused)
        elif entry.is_symlink():
            listing.refused.append(SkippedFile(name, "a link, not a class folder"))
        elif looks_like_image(name):
            listing.refused.append(SkippedFile(name, "not in a class folder"))
    return listing


def _is_no_image(verdict):
    return verdict.reason in ("not an image", "the file is empty")


def _empty_classes(names):
    if not names:
        return []
    shown = ", ".join(repr(readable(name)) for name in names[:SHOWN])
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return [f"No images in: {shown}{more} (the class keeps its index)"]
