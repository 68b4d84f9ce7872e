"""COCO's instances files: what they hold, which split they are, and where their pictures lie."""

import dataclasses
import json
import os
import pathlib

from kvision.data.info import RepairedBox, SkippedFile
from kvision.data.sources.coco_keys import key_or_none, read_classes, read_pictures
from kvision.data.sources.listing import entries
from kvision.data.sources.masks.regions import decode_runs, fill_polygons
from kvision.data.sources.places import find_pictures, outside
from kvision.data.sources.split_lists import files_of_splits
from kvision.data.sources.splits import ALIASES, ORDER
from kvision.data.sources.verdicts import check_folder
from kvision.files.text import read_text

_MANY = 200
_PREFIX = "instances_"
_UNSORTED = "default"  # CVAT's word for what is in no split
_BESIDE = "_annotations.coco.json"  # Roboflow's, beside the pictures of each split


@dataclasses.dataclass(frozen=True)
class CocoFile:
    """What a file of COCO instances holds.

    Attributes:
        pictures: dict of the path of a picture, relative to `root`, to the pair of what the file
            says of it (a list of dicts) and of its annotations.
        names: the names of the categories, in their order, without background.
        label_of: dict of category id, as text, to index into `names`.
        painted: whether annotations have segmentations; None where there are none.
        root: the real path of the folder of its images.
        refused: list of `SkippedFile`s.
        notes: lines that the user should read.
    """

    pictures: dict
    names: list
    label_of: dict
    painted: bool | None
    root: str
    refused: list
    notes: list


def is_coco_folder(path):
    """Whether a folder holds instances files, itself, in `annotations`, or one in each split."""
    return bool(_instances_files(path))


def read_coco(path, image_folder=None):
    """Reads one instances file, or all of a folder.

    Args:
        path: a `.json` file, or a folder with `annotations/instances_train2017.json` or
            `train/_annotations.coco.json` and the like.
        image_folder: where the images lie; None looks for `images` beside the file, the file's own
            folder, and COCO's layout (`annotations/instances_val2017.json` beside `val2017/`).

    Returns:
        A dict of split name to `CocoFile`; one file alone is "train".

    Raises:
        ValueError: if a file is no such file, the images are nowhere, an id means two categories,
            or the files of a folder are of one split or differ in their categories.
    """
    found = {"train": [path]} if os.path.isfile(path) else _instances_files(path)
    for split, twins in found.items():
        if len(twins) > 1:
            raise ValueError(
                f"{path} must hold one instances file for each split. Received for {split!r}: "
                f"{twins[0]} and {twins[1]}. Open each file by itself, or move one away."
            )
    files = {split: twins[0] for split, twins in found.items()}
    read = {split: _parse(file, image_folder) for split, file in files.items()}
    first = next(iter(read.values()))
    for split, file in read.items():
        if file.names != first.names or file.label_of != first.label_of:
            raise ValueError(
                f"The instances files in {path} must have the same categories. {files[split]} has "
                "others. Open each file by itself."
            )
    return read


def usable_images(file, fault, refused):
    """The images of a file that can be served.

    Args:
        file: a `CocoFile`.
        fault: function of (annotation, (height, width) of the picture) that returns why an
            annotation cannot be used, or None.
        refused: list to which `SkippedFile`s are added.

    Returns:
        A list of (path, `ImageFile`, annotations, dropped): the last two are those that can be
        used and, as `RepairedBox`es, those that cannot.
    """
    refused += file.refused
    usable = []
    for name, verdict in zip(
        file.pictures, check_folder(file.root, list(file.pictures)), strict=True
    ):
        images, regions = file.pictures[name]
        reason = verdict.reason or _misfit(images, verdict)
        if reason:
            refused.append(SkippedFile(name, reason))
            continue
        kept, dropped = [], []
        for region in regions:
            reason = _unknown(region, file.label_of) or fault(region, verdict.size)
            if reason:
                title = f"{os.path.basename(name)}, annotation {region.get('id')}"
                dropped.append(RepairedBox(title, f"dropped: {reason}"))
            else:
                kept.append(region)
        usable.append((os.path.join(file.root, name), verdict, kept, dropped))
    return usable


def region_mask(segmentation, size):
    """The mask of an annotation's polygons or run lengths.

    Args:
        segmentation: as in the file.
        size: (height, width).

    Returns:
        bool array (height, width).

    Raises:
        ValueError: if it is neither, or the runs are of another size.
    """
    if isinstance(segmentation, dict):
        return decode_runs(segmentation, size)
    if not isinstance(segmentation, list) or not segmentation:
        raise ValueError("it has neither polygons nor runs")
    return fill_polygons(segmentation, *size)


def unpaintable(region, size):
    """Why an annotation cannot be painted, or None."""
    try:
        segmentation = region["segmentation"]
        # Polygons are filled when they are asked for; that they could be shows at any size.
        region_mask(segmentation, (1, 1) if isinstance(segmentation, list) else size)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        return f"it cannot be painted: {error}"
    return None


def _misfit(images, verdict):
    """Why a picture is not the one that the file means, or None; some files give no size."""
    for image in images:
        sides = zip((image.get("height"), image.get("width")), verdict.size, strict=True)
        stated = tuple(_side(value) or real for value, real in sides)
        if stated != verdict.size:
            return f"the file says that it has {verdict.sizes_apart(stated)}"
    return None


def _side(value):
    """A height or width, which may be written as text, or None."""
    try:
        return round(float(value)) or None
    except (TypeError, ValueError, OverflowError):
        return None


def _unknown(region, label_of):
    category = region.get("category_id")
    known = key_or_none(category) in label_of
    return None if known else f"it is of an unknown category: {category!r}"


def _instances_files(path):
    """Split name -> instances files of a folder in COCO's layout, or in Roboflow's."""
    found = {}
    for folder in (os.path.join(path, "annotations"), path):
        for entry in entries(folder) if os.path.isdir(folder) else ():
            stem, ending = os.path.splitext(entry.name)
            if ending.lower() != ".json" or not stem.startswith(_PREFIX) or not entry.is_file():
                continue
            word = stem.removeprefix(_PREFIX).rstrip("0123456789_-").lower()
            split = "train" if word == _UNSORTED else ALIASES.get(word)
            if split:
                found.setdefault(split, []).append(entry.path)
    if not found:
        for split, top in files_of_splits(path, _BESIDE):
            found.setdefault(split, []).append(os.path.join(path, top, _BESIDE))
    return {split: found[split] for split in ORDER if split in found}


def _parse(path, image_folder):
    try:
        content = json.loads(read_text(path))
        images = [dict(image) for image in content["images"]]
        categories = [(category["id"], str(category["name"])) for category in content["categories"]]
        annotations = [dict(annotation) for annotation in content["annotations"]]
        if annotations and not any("image_id" in annotation for annotation in annotations):
            raise KeyError("image_id")
        good = all(isinstance(image["file_name"], str) and "id" in image for image in images)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} must be a COCO instances file: JSON with the lists images, annotations and "
            f"categories. Reading it failed with: {type(error).__name__}: {error}"
        ) from error
    if not good or not images or not categories:
        raise ValueError(
            f"{path} must hold images with a file_name and an id, and categories. "
            f"Received: {len(images)} images and {len(categories)} categories"
        )
    names, label_of, notes = read_classes(path, categories)
    root = os.path.realpath(_image_folder(path, images, image_folder))
    pictures, refused, more = read_pictures(root, images, annotations)
    painted = any(region.get("segmentation") for region in annotations) if annotations else None
    return CocoFile(pictures, names, label_of, painted, root, refused, notes + more)


def _image_folder(path, images, image_folder):
    beside = pathlib.Path(path).absolute().parent
    if image_folder is not None:
        return image_folder
    kind = pathlib.Path(path).stem.rpartition("_")[2]
    places = [beside / "images", beside, beside.parent / kind, beside.parent / "images" / kind]
    places += [beside / kind, beside.parent / "images"]
    names = [image["file_name"] for image in images]
    names = names[:: -(-len(names) // _MANY)]
    roots = [os.path.realpath(place) for place in places]
    for there in (_as_written, _shortened):
        counts = [there(root, names) for root in roots]
        if any(counts):
            return places[counts.index(max(counts))]
    raise ValueError(
        f"The images of {path} must lie in a folder 'images' beside it. {names[0]!r} lies in none "
        f"of: {', '.join(map(str, places))}. Pass `image_folder`."
    )


def _as_written(root, names):
    return sum(outside(root, name) is None for name in names)


def _shortened(root, names):
    return sum(reason is None for _, reason in find_pictures(root, names).values())
