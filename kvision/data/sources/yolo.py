"""A folder of pictures and YOLO's labels as a source: of boxes, of class masks, or of both."""

import os

from kvision.data.info import SkippedFile
from kvision.data.sources.boxes.box_source import BoxSource, Picture
from kvision.data.sources.boxes.yolo_config import MOST_NAMES
from kvision.data.sources.boxes.yolo_labels import (
    YoloLabels,
    has_outline,
    label_name,
    read_labels,
    things_of,
)
from kvision.data.sources.boxes.yolo_listing import list_yolo
from kvision.data.sources.coco_files import region_mask
from kvision.data.sources.listing import report
from kvision.data.sources.masks.painted import painted_masks
from kvision.data.sources.verdicts import check_folder

_SHOWN = 3


def yolo(path, errors="skip", seed=0, annotations=None):
    """Reads pictures and YOLO's labels, boxes and outlines; layouts: docs/guides/data.md.

    A picture without a label file has no objects, as in YOLO, but is counted in the warning.

    Args:
        path: the folder, or the `data.yaml` in it.
        errors: "skip" leaves out what cannot be served and repairs boxes, with one warning that
            names them; "raise" stops instead.
        seed: the order of the examples depends on it.
        annotations: "masks" for class masks, "boxes" for objects, "instances" for objects with
            their masks; None for class masks if every object has an outline, else for boxes.

    Returns:
        A source.

    Raises:
        ValueError: if `data.yaml` is wrong, nothing can be served, or, with `errors="raise"`,
            anything cannot be or has to be repaired.
    """
    root, config = os.path.realpath(path), None
    if os.path.isfile(path):
        root, config = (
            os.path.realpath(os.path.dirname(os.path.abspath(path))),
            os.path.basename(path),
        )
    refused, notes = [], []
    names, splits, keypoints = list_yolo(root, config, refused, notes)
    labels = _labels(path, root, splits, keypoints, notes)
    objects = [entry for file in labels.values() for entry in file.objects]
    outlines = sum(has_outline(values) for _, _, values in objects)
    if annotations is None:
        annotations = "masks" if objects and outlines == len(objects) else "boxes"
    if annotations != "boxes" and not outlines:
        raise ValueError(
            f"`annotations` of {path} must be 'boxes': no object has an outline. "
            f"Received: {annotations!r}"
        )
    if names is None:
        known = {label for _, label, _ in objects if label < MOST_NAMES}
        names = [f"class {index}" for index in range(1 + max(known, default=0))]
        notes.append("No data.yaml or classes.txt gives the classes names; they are numbered")
    outlined = annotations != "boxes"
    pictures = _pictures(root, splits, labels, names, outlined, refused)
    if annotations == "masks":
        source = painted_masks(path, pictures, names, seed, refused)
    else:
        source = BoxSource(pictures, region_mask if outlined else None, seed)
        source.describe(path, names, refused)
    served = sum(len(found) for found in pictures.values())
    report(path, refused, errors, served, notes, source.info.repaired)
    return source


def _labels(path, root, splits, keypoints, notes):
    """Picture -> its `YoloLabels`; splits without a label file are taken out of `splits`."""
    names = {image: label_name(root, image) for images in splits.values() for image in images}
    if splits and not any(names.values()):
        raise ValueError(
            f"{path} must hold YOLO's labels: for images/a.jpg the file labels/a.txt, or a.txt "
            f"beside it. None of its {len(names)} pictures has one."
        )
    for split in list(splits):
        missing = [image for image in splits[split] if names[image] is None]
        if len(missing) == len(splits[split]):
            del splits[split]
            notes.append(f"{split} holds no label files and is left out")
        elif missing:
            shown = ", ".join(repr(name) for name in missing[:_SHOWN])
            more = ", ..." if len(missing) > _SHOWN else ""
            notes.append(
                f"{len(missing)} picture(s) of {split} have no label file and are served as "
                f"pictures without objects: {shown}{more}"
            )
    owners = {}
    for image in dict.fromkeys(image for members in splits.values() for image in members):
        owners.setdefault(names[image] or image, []).append(image)
    labels = {}
    for images in owners.values():
        if len(images) == 1:
            labels[images[0]] = read_labels(root, names[images[0]], keypoints)
        else:
            reason = f"they may be those of {images[0]!r} or {images[1]!r}"
            labels |= dict.fromkeys(images, YoloLabels(reason=reason))
    return labels


def _pictures(root, splits, labels, names, outlined, refused):
    verdicts = dict(zip(labels, check_folder(root, list(labels)), strict=True))
    pictures = {}
    for split, images in splits.items():
        pictures[split] = []
        for image in images:
            verdict, file = verdicts[image], labels[image]
            if verdict.reason or file.reason:
                refused.append(SkippedFile(image, verdict.reason or f"its labels: {file.reason}"))
                continue
            things, dropped = things_of(file.objects, image, names, verdict.size, outlined)
            pictures[split].append(Picture(os.path.join(root, image), verdict, things, dropped))
    return {split: found for split, found in pictures.items() if found}
