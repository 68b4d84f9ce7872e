"""COCO's instances files: what they hold, which split they are, and where their pictures lie."""

import dataclasses
import json
import os
import pathlib

from kvision.data.info import SkippedFile
from kvision.data.listing import entries
from kvision.data.masks.regions import decode_runs, fill_polygons
from kvision.data.places import outside
from kvision.data.splits import ALIASES
from kvision.data.verdicts import check_folder
from kvision.files.text import read_text

_FEW = 20
_PREFIX = "instances_"


@dataclasses.dataclass(frozen=True)
class CocoFile:
    """What a file of COCO instances holds.

    Attributes:
        images: list of dicts with `id` and `file_name`.
        annotations: dict of image id to the annotations of the image.
        names: the names of the categories, in their order, without background.
        label_of: dict of category id to index into `names`.
        root: the real path of the folder of its images.
    """

    images: list
    annotations: dict
    names: list
    label_of: dict
    root: str


def is_coco_folder(path):
    """Whether a folder holds instances files, itself or in its folder `annotations`."""
    return bool(_instances_files(path))


def read_coco(path, image_folder=None):
    """Reads one instances file, or all of a folder.

    Args:
        path: a `.json` file, or a folder with `annotations/instances_train2017.json` and the like.
        image_folder: where the images lie; None looks for `images` beside the file, the file's own
            folder, and COCO's layout (`annotations/instances_val2017.json` beside `val2017/`).

    Returns:
        A dict of split name to `CocoFile`; one file alone is "train".

    Raises:
        ValueError: if a file is no such file, `image_folder` is none or the images are nowhere, or
            the files of a folder differ in their categories.
    """
    files = {"train": path} if os.path.isfile(path) else _instances_files(path)
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
        fault: function of (image, annotations, (height, width) of the picture) that returns why an
            image cannot be served, or None.
        refused: list to which `SkippedFile`s are added.

    Returns:
        A list of (image, annotations, `ImageFile`).
    """
    wanted = []
    for image in file.images:
        reason = outside(file.root, image["file_name"])
        if reason is None:
            wanted.append(image)
        else:
            refused.append(SkippedFile(image["file_name"], reason))
    verdicts = check_folder(file.root, [image["file_name"] for image in wanted])
    usable = []
    for image, verdict in zip(wanted, verdicts, strict=True):
        regions = file.annotations.get(image["id"], [])
        reason = verdict.reason or _fault(file, image, regions, verdict.size)
        reason = reason or fault(regions, verdict.size)
        if reason:
            refused.append(SkippedFile(image["file_name"], reason))
        else:
            usable.append((image, regions, verdict))
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
        shape = decode_runs(segmentation)
        if shape.shape != tuple(size):
            raise ValueError(f"its runs have the size {shape.shape}, not {tuple(size)}")
        return shape
    if not isinstance(segmentation, list) or not segmentation:
        raise ValueError("it has neither polygons nor runs")
    return fill_polygons(segmentation, *size)


def unpaintable(regions, size):
    """Why one of some annotations cannot be painted, or None."""
    for region in regions:
        try:
            segmentation = region["segmentation"]
            # Polygons are filled when they are asked for; that they could be shows at any size.
            region_mask(segmentation, (1, 1) if isinstance(segmentation, list) else size)
        except (ValueError, KeyError, TypeError) as error:
            return f"annotation {region.get('id')} cannot be painted: {error}"
    return None


def _fault(file, image, regions, size):
    stated = (image.get("height"), image.get("width"))
    if stated != size:
        shown = [f"{width}x{height}" for height, width in (stated, size)]
        return f"the file says that it has {shown[0]} pixels, and it has {shown[1]}"
    for region in regions:
        if region.get("category_id") not in file.label_of:
            number, category = region.get("id"), region.get("category_id")
            return f"annotation {number} is of an unknown category: {category!r}"
    return None


def _instances_files(path):
    """Split name -> instances file of a folder in COCO's layout."""
    found = {}
    for folder in (os.path.join(path, "annotations"), path):
        for entry in entries(folder) if os.path.isdir(folder) else ():
            stem, ending = os.path.splitext(entry.name)
            if ending.lower() != ".json" or not stem.startswith(_PREFIX) or not entry.is_file():
                continue
            word = stem.removeprefix(_PREFIX).rstrip("0123456789_-").lower()
            if word in ALIASES:
                found.setdefault(ALIASES[word], entry.path)
    return {split: found[split] for split in dict.fromkeys(ALIASES.values()) if split in found}


def _parse(path, image_folder):
    try:
        content = json.loads(read_text(path))
        images = [dict(image) for image in content["images"]]
        categories = [(category["id"], str(category["name"])) for category in content["categories"]]
        annotations = {}
        for annotation in content["annotations"]:
            annotations.setdefault(annotation["image_id"], []).append(dict(annotation))
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
    names = [name for _, name in categories]
    label_of = {number: index for index, (number, _) in enumerate(categories)}
    root = os.path.realpath(_image_folder(path, images, image_folder))
    return CocoFile(images, annotations, names, label_of, root)


def _image_folder(path, images, image_folder):
    beside = pathlib.Path(path).absolute().parent
    if image_folder is not None:
        if not os.path.isdir(image_folder):
            raise ValueError(f"`image_folder` must be a folder. Received: {str(image_folder)!r}")
        return image_folder
    kind = pathlib.Path(path).stem.rpartition("_")[2]
    places = [beside / "images", beside, beside.parent / kind, beside.parent / "images" / kind]
    places += [beside / kind, beside.parent / "images"]
    names = [image["file_name"] for image in images[:_FEW]]
    for place in places:
        if any(outside(os.path.realpath(place), name) is None for name in names):
            return place
    raise ValueError(
        f"The images of {path} must lie in a folder 'images' beside it. {names[0]!r} lies in none "
        f"of: {', '.join(map(str, places))}. Pass `image_folder`."
    )
