"""The layouts in which people keep images and masks, and what lies where in them."""

import dataclasses
import os
import re

from kvision.data.info import SkippedFile
from kvision.data.sources.listing import entries, folders, holds, list_files, looks_like_image
from kvision.data.sources.masks.known_classes import (
    camvid_table,
    cityscapes_table,
    pet_table,
    voc_table,
)
from kvision.data.sources.masks.pairing import match
from kvision.data.sources.split_lists import split_lists
from kvision.data.sources.splits import ALIASES, ORDER
from kvision.data.sources.stems import Stems, by_stem

# Names of folders of images and, in the same order of preference, of folders of masks.
IMAGE_FOLDERS = ("images", "image", "imgs", "img", "jpegimages", "photos", "inputs", "x")
MASK_FOLDERS = (
    "1st_manual",  # DRIVE's, beside which "mask" holds the field of view
    "manual1",
    "masks",
    "mask",
    "segmentationclass",
    "segmentations",
    "segmentation",
    "annotations",
    "annotation",
    "labels",
    "label",
    "groundtruth",
    "ground_truth",
    "gt",
    "targets",
    "y",
)
# Masks of a split beside the folder of its images: "train" and "trainannot".
_BESIDE = ("annot", "_annot", "_labels", "_masks", "_mask", "_gt")
_LISTS = (os.path.join("ImageSets", "Segmentation"), "ImageSets", "splits", "lists", "")
_CAMVID = re.compile(r"^(0001TP|0006R0|0016E5|Seq05VD)_")


@dataclasses.dataclass
class Layout:
    """What a folder of images and masks holds.

    Attributes:
        pairs: dict of split name to (image, mask) pairs of paths relative to the folder.
        refused: list of `SkippedFile`s.
        table: the `LabelTable` that goes with the layout, or None.
        notes: lines that the user should read.
    """

    pairs: dict
    refused: list = dataclasses.field(default_factory=list)
    table: object = None
    notes: list = dataclasses.field(default_factory=list)


def find_layout(root):
    """How images and masks lie in a folder, or None if it is no such folder.

    Args:
        root: the folder, a real path.

    Returns:
        A function without arguments that lists it as a `Layout`; or None.
    """
    inside = set(folders(root))
    if {"JPEGImages", "SegmentationClass"} <= inside:
        return lambda: _voc(root)
    if "leftImg8bit" in inside and inside & {"gtFine", "gtCoarse"}:
        return lambda: _cityscapes(root, "gtFine" if "gtFine" in inside else "gtCoarse")
    places = paired_folders(root, MASK_FOLDERS) or _splits_beside(root)
    return (lambda: _listed(root, places)) if places else None


def paired_folders(root, truths):
    """Finds folders of images beside folders of what is true of them.

    Args:
        root: the folder, a real path.
        truths: names that the latter may have, in the order of preference.

    Returns:
        A list of (split, folder of images, folder of truth), relative to `root`, or None.
    """
    return _splits_inside(root, truths) or _splits_around(root, truths)


def _splits_inside(root, truths):
    """images/ and masks/, with or without train, val and test in both."""
    pair = next(filter(None, (_pair(root, "", masks) for masks in truths)), None)
    if not pair:
        return None
    images, masks = pair
    inside = [set(folders(os.path.join(root, folder))) for folder in pair]
    shared = [name for name in sorted(inside[0] & inside[1]) if name.lower() in ALIASES]
    if not shared:
        return [("train", images, masks)]
    return [
        (ALIASES[name.lower()], os.path.join(images, name), os.path.join(masks, name))
        for name in shared
    ]


def _splits_around(root, truths):
    """train, val and test, each with images/ and masks/, which are called the same in all."""
    tops = [name for name in folders(root) if name.lower() in ALIASES]
    for masks in truths:
        pairs = [(ALIASES[top.lower()], _pair(root, top, masks)) for top in tops]
        if any(pair for _, pair in pairs):
            return [(split, *pair) for split, pair in pairs if pair]
    return None


def _splits_beside(root):
    """train and trainannot, val and valannot, test and testannot."""
    inside = {name.lower(): name for name in folders(root)}
    return [
        (ALIASES[name], inside[name], inside[name + ending])
        for name in inside
        if name in ALIASES
        for ending in _BESIDE
        if name + ending in inside and _has_images(root, inside[name + ending])
    ]


def _pair(root, top, masks):
    """Folders of images and of `masks` inside `top`, as paths relative to `root`, or None."""
    inside = {name.lower(): os.path.join(top, name) for name in folders(os.path.join(root, top))}
    for images in IMAGE_FOLDERS:
        if not {images, masks} <= inside.keys():
            continue
        # Letters may also be classes, but hardly these two alone.
        if {"x", "y"} & {images, masks} and inside.keys() != {"x", "y"}:
            continue
        pair = inside[images], inside[masks]
        if all(_has_images(root, folder) for folder in pair):
            return _deeper(root, *pair), _deeper(root, *reversed(pair))
    return None


def _deeper(root, folder, other):
    """The only folder with pictures inside `folder`, if that has none itself, and `other` not it.

    So the masks of the pets are found, which lie in annotations/trimaps.
    """
    place = os.path.join(root, folder)
    below = [name for name in folders(place) if _has_images(root, os.path.join(folder, name))]
    alone = len(below) == 1 and below[0].lower() not in ALIASES
    if not alone or below[0] in folders(os.path.join(root, other)):
        return folder
    if any(looks_like_image(entry.name) for entry in entries(place)):
        return folder
    return _deeper(root, os.path.join(folder, below[0]), other)


def _has_images(root, folder):
    return holds(os.path.join(root, folder), looks_like_image)


def _listed(root, places):
    layout = Layout({})
    for split, images, masks in sorted(places, key=lambda place: ORDER.index(place[0])):
        if split in layout.pairs:
            raise ValueError(
                f"{root} must hold one folder for each split. Received another of the split "
                f"{split!r}: {images!r}. Move one of them away."
            )
        names = [images_in(root, folder, layout.refused) for folder in (images, masks)]
        layout.pairs[split], refused = match(*names, images, masks)
        layout.refused += refused
    stems = [os.path.basename(image) for pairs in layout.pairs.values() for image, _ in pairs]
    if stems and all(_CAMVID.match(stem) for stem in stems):
        layout.table = camvid_table()
    if all(os.path.basename(masks) == "trimaps" for _, _, masks in places):
        layout.table = pet_table()
    if [split for split, *_ in places] == ["train"]:
        _sort(root, layout, images, os.path.dirname(masks))
    layout.notes += [f"{name} holds no masks and is left out" for name in _unused(root, places)]
    return layout


def _sort(root, layout, images, folder):
    """Sorts the pairs of a layout into the splits that lists beside them or in `folder` name."""
    mask_of = dict(layout.pairs["train"])
    stems = Stems({"images": by_stem(mask_of, images)})
    found, listed = {}, set()
    for split, members in split_lists(root, [*_LISTS, folder], stems.known).items():
        pairs = {}
        for stem in members:
            files, reason = stems.find(stem)
            listed.update(files["images"])
            if reason:
                layout.refused.append(SkippedFile(stem, reason))
            elif files["images"]:
                pairs[files["images"][0]] = None
        found |= {split: [(image, mask_of[image]) for image in pairs]} if pairs else {}
    if not listed:
        return
    rest = len(mask_of) - len(listed)
    if rest:
        layout.notes.append(f"{rest} images with masks are in no list and are left out")
    layout.pairs = found


def _unused(root, places):
    """Folders with the name of a split that no masks belong to."""
    used = {part for _, *pair in places for folder in pair for part in _parents(folder)}
    return [
        os.path.join(top, name)
        for top in sorted({"", *(os.path.dirname(images) for _, images, _ in places)})
        for name in folders(os.path.join(root, top))
        if name.lower() in ALIASES and os.path.join(top, name) not in used
    ]


def _parents(folder):
    """A folder and the folders that it lies in."""
    parts = folder.split(os.sep)
    return [os.path.join(*parts[: end + 1]) for end in range(len(parts))]


def images_in(root, folder, refused):
    """Lists the pictures in a folder, relative to `root`; adds to `refused` what is odd."""
    found, strange = [], []
    list_files(root, folder, found, strange)
    refused += strange
    return [name for name in found if looks_like_image(name)]


def _voc(root):
    layout = Layout({}, table=voc_table())
    kinds = {
        folder: by_stem(images_in(root, folder, layout.refused), folder)
        for folder in ("JPEGImages", "SegmentationClass")
    }
    stems, masks = Stems(kinds), kinds["SegmentationClass"]
    wanted = split_lists(root, _LISTS[:1], stems.known)
    if not {"train", "validation"} & wanted.keys():
        wanted = {"train": sorted(masks), **wanted}
    for split, members in wanted.items():
        found = {stem: stems.find(stem) for stem in members}
        if not any(files["SegmentationClass"] for files, _ in found.values()):
            continue  # the masks of VOC's test sets are not given away
        pairs = {}
        for stem, (files, reason) in found.items():
            missing = [folder for folder, names in files.items() if not names]
            if missing:
                reason = f"listed for {split}, but not in {' or '.join(missing)}"
            if reason:
                layout.refused.append(SkippedFile(stem, reason))
            else:
                pairs[tuple(names[0] for names in files.values())] = None
        layout.pairs[split] = list(pairs)
    return layout


def _cityscapes(root, truth):
    layout = Layout({})
    images = images_in(root, "leftImg8bit", layout.refused)
    masks = images_in(root, truth, layout.refused)
    ids = [mask for mask in masks if mask.endswith(f"_{truth}_labelIds.png")]
    chosen = ids or [mask for mask in masks if mask.endswith(f"_{truth}_labelTrainIds.png")]
    layout.table = cityscapes_table(train_ids=not ids)
    found = {}
    for name in folders(os.path.join(root, "leftImg8bit")):
        split = ALIASES.get(name.lower())
        places = [os.path.join(top, name) for top in ("leftImg8bit", truth)]
        here = [
            [file for file in files if file.startswith(place + os.sep)]
            for files, place in zip((images, chosen), places, strict=True)
        ]
        if split and here[1]:
            found[split], refused = match(*here, *places)
            layout.refused += refused
        else:
            layout.notes.append(f"{places[0]} holds no masks and is left out")
    layout.pairs = {split: found[split] for split in ORDER if split in found}
    return layout
