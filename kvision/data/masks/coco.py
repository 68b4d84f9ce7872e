"""A COCO instances file as a source of images and class masks."""

import json
import os
import pathlib

import numpy as np

from kvision.data.info import (
    DatasetInfo,
    ImageFeature,
    MaskFeature,
    SkippedFile,
    SplitDict,
    SplitInfo,
)
from kvision.data.listing import refusal, report
from kvision.data.masks.label_table import MOST_CLASSES
from kvision.data.masks.mask_source import MaskSource
from kvision.data.masks.regions import decode_runs, fill_polygons
from kvision.data.order import stratified_order
from kvision.data.verdicts import check_folder
from kvision.ops.masks import VOID

_FEW = 20


def coco_masks(path, errors="skip", seed=0, image_folder=None):
    """Reads a COCO instances file; every mask is painted from its polygons and run lengths.

    Background is class 0, the categories follow in the order of the file, whatever their ids. What
    lies over something else is taken to be the smaller object; crowds are void where nothing else
    is.

    Args:
        path: the `.json` file.
        errors: "skip" leaves out images that cannot be served, with one warning that names them;
            "raise" stops instead.
        seed: the order of the examples depends on it.
        image_folder: where the images lie; None looks for `images` beside the file, the file's own
            folder, and COCO's layout (`annotations/instances_val2017.json` beside `val2017/`).

    Returns:
        A `MaskSource` with one split, "train".

    Raises:
        ValueError: if the file is no such file, or nothing can be served, or, with
            `errors="raise"`, anything cannot be.
    """
    images, annotations, names, index_of = _parse(path)
    root = os.path.realpath(_image_folder(path, images, image_folder))
    refused, wanted = [], []
    for image in images:
        reason = _outside(root, image["file_name"])
        if reason is None:
            wanted.append(image)
        else:
            refused.append(SkippedFile(image["file_name"], reason))
    verdicts = check_folder(root, [image["file_name"] for image in wanted])
    records, rows, counts = [], [], np.zeros(len(names), "int64")
    for image, verdict in zip(wanted, verdicts, strict=True):
        regions = annotations.get(image["id"], [])
        reason = verdict.reason or _fault(image, regions, index_of, verdict.size)
        if reason:
            refused.append(SkippedFile(image["file_name"], reason))
            continue
        image_path = os.fsencode(os.path.join(root, image["file_name"]))
        rows.append((image_path, verdict.decoder, verdict.orientation, len(records)))
        records.append((image["height"], image["width"], regions))
        # Background is taken to be everywhere; painting all masks to find out takes too long.
        counts[[0, *{index_of[region["category_id"]] for region in regions}]] += 1
    report(path, refused, errors, len(rows))

    def read(number):
        return paint(*records[int(number)], index_of)

    rows = [rows[i] for i in stratified_order(np.zeros(len(rows), "int64"), seed)]
    info = SplitInfo(len(rows), dict(zip(names, counts.tolist(), strict=True)))
    features = {"image": ImageFeature((None, None, 3)), "segmentation_mask": MaskFeature(names)}
    info = DatasetInfo(str(path), SplitDict({"train": info}), features, tuple(refused))
    return MaskSource(info, {"train": rows}, read)


def paint(height, width, regions, index_of):
    """The class mask of one image.

    Args:
        height: of the image.
        width: of the image.
        regions: annotations of the image, as in the file.
        index_of: dict of category id to class index.

    Returns:
        uint8 array (height, width, 1).
    """
    mask = np.zeros((height, width), "uint8")
    shapes = []
    for region in regions:
        shape = _shape(region["segmentation"], height, width)
        if region.get("iscrowd"):
            mask[shape] = VOID
        else:
            shapes.append((shape, index_of[region["category_id"]]))
    # Of two objects, the smaller is in front: a cup on a table, a tie on a person.
    for shape, index in sorted(shapes, key=lambda pair: -np.count_nonzero(pair[0])):
        mask[shape] = index
    return mask[..., None]


def _shape(segmentation, height, width):
    if isinstance(segmentation, dict):
        shape = decode_runs(segmentation)
        if shape.shape != (height, width):
            raise ValueError(f"its runs have the size {shape.shape}, not {(height, width)}")
        return shape
    if not isinstance(segmentation, list) or not segmentation:
        raise ValueError("it has neither polygons nor runs")
    return fill_polygons(segmentation, height, width)


def _fault(image, regions, index_of, size):
    """Why an image cannot be served, or None."""
    stated = (image.get("height"), image.get("width"))
    if stated != size:
        shown = [f"{width}x{height}" for height, width in (stated, size)]
        return f"the file says that it has {shown[0]} pixels, and it has {shown[1]}"
    for region in regions:
        name = f"annotation {region.get('id')}"
        if region.get("category_id") not in index_of:
            return f"{name} is of an unknown category: {region.get('category_id')!r}"
        try:
            segmentation = region["segmentation"]
            # Polygons are filled when they are asked for; that they could be shows at any size.
            _shape(segmentation, *((1, 1) if isinstance(segmentation, list) else size))
        except (ValueError, KeyError, TypeError) as error:
            return f"{name} cannot be painted: {error}"
    return None


def _parse(path):
    """The images, the annotations by image id, the class names, and the indices of category ids."""
    try:
        content = json.loads(pathlib.Path(path).read_text("utf-8"))
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
    if not good or not images or not 1 <= len(categories) < MOST_CLASSES:
        raise ValueError(
            f"{path} must hold images with a file_name and an id, and 1 to {MOST_CLASSES - 1} "
            f"categories. Received: {len(images)} images and {len(categories)} categories"
        )
    names = ["background", *(name for _, name in categories)]
    index_of = {number: index for index, (number, _) in enumerate(categories, start=1)}
    return images, annotations, names, index_of


def _image_folder(path, images, image_folder):
    beside = pathlib.Path(path).absolute().parent
    if image_folder is not None:
        if not os.path.isdir(image_folder):
            raise ValueError(f"`image_folder` must be a folder. Received: {str(image_folder)!r}")
        return image_folder
    kind = pathlib.Path(path).stem.rpartition("_")[2]
    places = [beside / "images", beside, beside.parent / kind, beside.parent / "images" / kind]
    places.append(beside.parent / "images")
    names = [image["file_name"] for image in images[:_FEW]]
    for place in places:
        if any(_outside(os.path.realpath(place), name) is None for name in names):
            return place
    raise ValueError(
        f"The images of {path} must lie in a folder 'images' beside it. {names[0]!r} lies in none "
        f"of: {', '.join(map(str, places))}. Pass `image_folder`."
    )


def _outside(root, name):
    """Why the image of this name is none of the folder's, or None."""
    path = os.path.join(root, name)
    if os.path.isabs(name) or ".." in pathlib.PurePath(name).parts:
        return "a name that leaves the folder"
    return refusal(root, path) if os.path.lexists(path) else "not in the folder of images"
