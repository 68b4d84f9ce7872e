"""The layouts in which people keep images and masks, and what lies where in them."""

import dataclasses
import os
import re

from kvision.data.info import SkippedFile
from kvision.data.listing import folders, list_files, looks_like_image, stems_in
from kvision.data.masks.known_classes import camvid_table, cityscapes_table, voc_table
from kvision.data.masks.pairing import match
from kvision.data.splits import ALIASES
from kvision.files.text import readable

# Names of folders of images and, in the same order of preference, of folders of masks.
IMAGE_FOLDERS = ("images", "image", "imgs", "img", "jpegimages", "photos", "inputs", "x")
MASK_FOLDERS = (
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
_ORDER = ("train", "validation", "test")
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
        The pair of the folder that they lie in (`root`, or the only folder in it, as in VOCdevkit)
        and a function without arguments that lists it as a `Layout`; or None.
    """
    lister = _lister(root)
    if lister is None and len(folders(root)) == 1:
        root = os.path.join(root, folders(root)[0])
        lister = _lister(root)
    return None if lister is None else (root, lister)


def _lister(root):
    inside = set(folders(root))
    if {"JPEGImages", "SegmentationClass"} <= inside:
        return lambda: _voc(root)
    if "leftImg8bit" in inside and inside & {"gtFine", "gtCoarse"}:
        return lambda: _cityscapes(root, "gtFine" if "gtFine" in inside else "gtCoarse")
    places = _splits_inside(root) or _splits_around(root) or _splits_beside(root)
    return (lambda: _listed(root, places)) if places else None


def _splits_inside(root, top=""):
    """images/ and masks/, with or without train, val and test in both."""
    pair = _pair(root, top)
    if not pair:
        return None
    images, masks = pair
    inside = [set(folders(os.path.join(root, folder))) for folder in pair]
    shared = [name for name in sorted(inside[0] & inside[1]) if name.lower() in ALIASES]
    if top or not shared:
        return [("train", images, masks)]
    return [
        (ALIASES[name.lower()], os.path.join(images, name), os.path.join(masks, name))
        for name in shared
    ]


def _splits_around(root):
    """train, val and test, each with images/ and masks/."""
    return [
        (ALIASES[name.lower()], images, masks)
        for name in folders(root)
        if name.lower() in ALIASES
        for _, images, masks in _splits_inside(root, name) or ()
    ]


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


def _pair(root, top):
    """A folder of images and one of masks inside `top`, as paths relative to `root`."""
    inside = {name.lower(): os.path.join(top, name) for name in folders(os.path.join(root, top))}
    for images in IMAGE_FOLDERS:
        for masks in MASK_FOLDERS:
            if not {images, masks} <= inside.keys():
                continue
            # Letters may also be classes, but hardly these two alone.
            if {"x", "y"} & {images, masks} and inside.keys() != {"x", "y"}:
                continue
            if _has_images(root, inside[images]) and _has_images(root, inside[masks]):
                return inside[images], inside[masks]
    return None


def _has_images(root, folder):
    return any(
        looks_like_image(name)
        for _, _, names in os.walk(os.path.join(root, folder))
        for name in names
    )


def _listed(root, places):
    layout = Layout({})
    for split, images, masks in sorted(places, key=lambda place: _ORDER.index(place[0])):
        if split in layout.pairs:
            raise ValueError(
                f"{root} must hold one folder for each split. Received another of the split "
                f"{split!r}: {images!r}. Move one of them away."
            )
        names = [_images_in(root, folder, layout.refused) for folder in (images, masks)]
        layout.pairs[split], refused = match(*names, images, masks)
        layout.refused += refused
    stems = [os.path.basename(image) for pairs in layout.pairs.values() for image, _ in pairs]
    if stems and all(_CAMVID.match(stem) for stem in stems):
        layout.table = camvid_table()
    layout.notes += [f"{name} holds no masks and is left out" for name in _unused(root, places)]
    return layout


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


def _images_in(root, folder, refused):
    found, strange = [], []
    list_files(root, folder, found, strange)
    refused += strange
    return [name for name in found if looks_like_image(name)]


def _voc(root):
    layout = Layout({}, table=voc_table())
    by_stem = []
    for folder in ("JPEGImages", "SegmentationClass"):
        names = _images_in(root, folder, layout.refused)
        stems = (readable(os.path.splitext(os.path.basename(name))[0]) for name in names)
        by_stem.append(dict(zip(stems, names, strict=True)))
    images, masks = by_stem
    lists = os.path.join(root, "ImageSets", "Segmentation")
    wanted = {}
    for split, file in (("train", "train"), ("validation", "val"), ("test", "test")):
        wanted[split] = stems_in(os.path.join(lists, f"{file}.txt"))
    if not wanted["train"] and not wanted["validation"]:
        wanted["train"] = stems_in(os.path.join(lists, "trainval.txt")) or sorted(masks)
    for split, stems in wanted.items():
        if not any(stem in masks for stem in stems):
            continue  # the masks of VOC's test sets are not given away
        layout.pairs[split] = []
        for stem in stems:
            missing = [
                folder
                for folder, names in (("JPEGImages", images), ("SegmentationClass", masks))
                if stem not in names
            ]
            if missing:
                reason = f"listed for {split}, but not in {' or '.join(missing)}"
                layout.refused.append(SkippedFile(stem, reason))
            else:
                layout.pairs[split].append((images[stem], masks[stem]))
    return layout


def _cityscapes(root, truth):
    layout = Layout({})
    images = _images_in(root, "leftImg8bit", layout.refused)
    masks = _images_in(root, truth, layout.refused)
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
    layout.pairs = {split: found[split] for split in _ORDER if split in found}
    return layout
