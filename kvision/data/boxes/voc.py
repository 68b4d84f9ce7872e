"""A folder of pictures and VOC's XML files as a source of boxes."""

import os

from kvision.data.boxes.box_source import BoxSource, Picture, Thing
from kvision.data.boxes.voc_xml import check_voc_files, recall_voc_file, to_pixels
from kvision.data.info import SkippedFile
from kvision.data.listing import folders, holds, list_files, looks_like_image, report
from kvision.data.masks.known_classes import VOC_NAMES
from kvision.data.split_lists import split_lists
from kvision.data.verdicts import check_folder, remembered
from kvision.files.text import readable

_IMAGE_FOLDERS = ("JPEGImages", "images", "Images")
_XML_FOLDERS = ("Annotations", "annotations", "labels")


def is_voc_folder(path):
    """Whether a folder holds pictures beside VOC's XML files."""
    return _find(os.path.realpath(path)) is not None


def voc_boxes(path, errors="skip", seed=0):
    """Reads a folder in the layout of VOC: `JPEGImages`, `Annotations`, `ImageSets/Main`.

    Corners in the files count pixels from 1 and are part of the box. The classes are VOC's where
    all are VOC's, else those that occur, in the order of the alphabet.

    Args:
        path: the folder.
        errors: "skip" leaves out what cannot be served and repairs boxes, with one warning that
            names them; "raise" stops instead.
        seed: the order of the examples in each split depends on it.

    Returns:
        A `BoxSource`.

    Raises:
        ValueError: if nothing can be served, or, with `errors="raise"`, anything cannot be or has
            to be repaired.
    """
    root, image_folder, xml_folder = _find(os.path.realpath(path))
    refused = []
    images = _by_stem(root, image_folder, looks_like_image, refused)
    xmls = _by_stem(root, xml_folder, _is_xml, refused)
    lists = os.path.join("ImageSets", "Main")
    wanted = split_lists(root, [lists], images.keys() | xmls) or {"train": sorted(xmls)}
    good = _check(root, wanted, images, xmls, refused)
    names = _class_names(file for _, file in good.values())
    pictures = {}
    for split, stems in wanted.items():
        stems = [stem for stem in stems if stem in good]
        found = [_picture(os.path.join(root, images[stem]), *good[stem], names) for stem in stems]
        pictures |= {split: found} if found else {}
    source = BoxSource(pictures, None, seed)
    served = sum(len(found) for found in pictures.values())
    report(path, refused, errors, served, repaired=source.repaired)
    return source.describe(path, names, refused)


def _check(root, wanted, images, xmls, refused):
    """What checking found of each stem whose picture and file can be used."""
    stems = []
    for stem in dict.fromkeys(stem for members in wanted.values() for stem in members):
        places = (("pictures", images), ("XML files", xmls))
        missing = [place for place, names in places if stem not in names]
        if missing:
            refused.append(SkippedFile(stem, f"not among the {' and the '.join(missing)}"))
        else:
            stems.append(stem)
    image_names, xml_names = [images[stem] for stem in stems], [xmls[stem] for stem in stems]
    verdicts = check_folder(root, image_names)
    files = remembered(root, xml_names, check_voc_files, recall_voc_file, "boxes")
    good = {}
    for stem, verdict, file in zip(stems, verdicts, files, strict=True):
        if verdict.reason:
            refused.append(SkippedFile(images[stem], verdict.reason))
        elif reason := file.reason or _misfit(file, verdict):
            refused.append(SkippedFile(xmls[stem], reason))
        else:
            good[stem] = (verdict, file)
    return good


def _picture(path, verdict, file, names):
    things = [
        Thing(names.index(name), to_pixels(corners), f"{name} {number}", difficult=difficult)
        for number, (name, corners, difficult) in enumerate(file.objects, start=1)
    ]
    return Picture(path, verdict, things)


def _misfit(file, verdict):
    """Why the boxes of a file cannot be those of the picture, or None.

    A wrong size alone is no reason: many files state that of another resolution by mistake.
    """
    if file.size == verdict.size or 0 in file.size:
        return None
    height, width = verdict.size
    turned = verdict.turned and file.size == (width, height)
    fits = all(max(box[0::2]) <= height and max(box[1::2]) <= width for _, box, _ in file.objects)
    if fits and not turned:
        return None
    return f"it is for a picture of {verdict.sizes_apart(file.size)}"


def _class_names(files):
    found = {name for file in files for name, _, _ in file.objects}
    if found and found <= set(VOC_NAMES[1:]):
        return list(VOC_NAMES[1:])
    return sorted(found)


def _by_stem(root, folder, wanted, refused):
    found, strange = [], []
    list_files(root, folder, found, strange)
    refused += strange
    return {
        readable(os.path.splitext(os.path.basename(name))[0]): name
        for name in found
        if wanted(name)
    }


def _find(root):
    """The folder, or the only one in it, and in it those of pictures and of XML files; or None."""
    inside = folders(root)
    images = [name for name in _IMAGE_FOLDERS if name in inside]
    xmls = [name for name in _XML_FOLDERS if name in inside]
    if images and xmls and holds(os.path.join(root, xmls[0]), _is_xml):
        return root, images[0], xmls[0]
    return _find(os.path.join(root, inside[0])) if len(inside) == 1 else None


def _is_xml(name):
    return name.lower().endswith(".xml")
