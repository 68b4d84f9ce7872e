"""A folder of images and masks as a source."""

import os

import numpy as np

from kvision.data.info import (
    DatasetInfo,
    ImageFeature,
    MaskFeature,
    SkippedFile,
    SplitDict,
    SplitInfo,
)
from kvision.data.sources.listing import report
from kvision.data.sources.masks.choosing import choose_table
from kvision.data.sources.masks.layouts import find_layout
from kvision.data.sources.masks.mask_files import check_masks, read_mask, recall_mask
from kvision.data.sources.masks.mask_source import MaskSource
from kvision.data.sources.order import stratified_order
from kvision.data.sources.verdicts import check_folder, remembered
from kvision.files.text import readable


def is_mask_folder(path):
    """Whether a folder holds images and masks rather than classes."""
    return find_layout(os.path.realpath(path)) is not None


def mask_folder(path, errors="skip", seed=0, class_names=None, colors=None, void=()):
    """Reads a folder of images beside a folder of masks, in any of the known layouts.

    Args:
        path: the folder.
        errors: "skip" leaves out pairs that do not fit, with one warning that names them; "raise"
            stops instead.
        seed: the order of the examples in each split depends on it.
        class_names: list of names in the order of the values in the masks, or dict of value to
            name.
        colors: dict of class name to (red, green, blue), or a list of colours in the order of
            `class_names`.
        void: further values or colours that mean void; 255 does anyway, but in black and white
            masks.

    Returns:
        A `MaskSource`.

    Raises:
        ValueError: if the arguments do not fit, no pair can be served, or, with
            `errors="raise"`, any file cannot be.
    """
    root = os.path.realpath(path)
    layout = find_layout(root)()
    pairs = [pair for split in layout.pairs.values() for pair in split]
    image_names, mask_names = zip(*pairs, strict=True) if pairs else ((), ())
    images = dict(zip(image_names, check_folder(root, image_names), strict=True))
    checked = remembered(root, mask_names, check_masks, recall_mask, "masks")
    masks = dict(zip(mask_names, checked, strict=True))
    refused = layout.refused + _unreadable(pairs, images, masks)
    broken = {file.name for file in refused}
    good = [masks[mask] for image, mask in pairs if not {image, mask} & broken]
    table, notes = choose_table(root, layout.table, good, class_names, colors, void)
    refused += [
        SkippedFile(mask, reason)
        for image, mask in pairs
        if not {image, mask} & broken and (reason := table.unknown(masks[mask]))
    ]
    broken = {file.name for file in refused}
    kept = {
        split: [pair for pair in split_pairs if not set(pair) & broken]
        for split, split_pairs in layout.pairs.items()
    }
    served = sum(len(split_pairs) for split_pairs in kept.values())
    report(path, refused, errors, served, [*layout.notes, *notes])
    return _source(path, root, kept, images, masks, table, tuple(refused), seed)


def _unreadable(pairs, images, masks):
    refused = []
    for image, mask in pairs:
        if images[image].reason:
            refused.append(SkippedFile(image, images[image].reason))
        if masks[mask].reason:
            refused.append(SkippedFile(mask, masks[mask].reason))
        if images[image].reason or masks[mask].reason:
            continue
        if masks[mask].size != images[image].size:
            reason = f"it has {images[image].sizes_apart(masks[mask].size)} ({readable(image)})"
            refused.append(SkippedFile(mask, reason))
    return refused


def _source(path, root, pairs, images, masks, table, refused, seed):
    mask_paths, splits, infos = [], {}, {}
    for split, split_pairs in pairs.items():
        rows, counts = [], np.zeros(len(table.names), "int64")
        for image, mask in split_pairs:
            verdict = images[image]
            number = len(mask_paths)
            mask_paths.append(os.path.join(root, mask))
            image_path = os.fsencode(os.path.join(root, image))
            rows.append((image_path, verdict.decoder, verdict.orientation, number))
            counts[sorted(table.classes_in(masks[mask]))] += 1
        splits[split] = [rows[i] for i in stratified_order(np.zeros(len(rows), "int64"), seed)]
        infos[split] = SplitInfo(len(rows), dict(zip(table.names, counts.tolist(), strict=True)))

    def read(number):
        pixels, coloured = read_mask(mask_paths[int(number)])
        return table.look_up(pixels, coloured)[..., None]

    colors = None if table.colors is None else [tuple(color) for color in table.colors]
    features = {
        "image": ImageFeature((None, None, 3)),
        "segmentation_mask": MaskFeature(list(table.names), colors),
    }
    return MaskSource(DatasetInfo(str(path), SplitDict(infos), features, refused), splits, read)
