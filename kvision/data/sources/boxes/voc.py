"""A folder of pictures and VOC's XML files as a source of boxes."""

import os

from kvision.data.info import RepairedBox, SkippedFile
from kvision.data.sources.boxes.box_source import BoxSource, Picture, Thing
from kvision.data.sources.boxes.voc_xml import check_voc_files, recall_voc_file, to_pixels
from kvision.data.sources.listing import (
    entries,
    folders,
    holds,
    list_files,
    looks_like_image,
    report,
)
from kvision.data.sources.masks.known_classes import VOC_NAMES
from kvision.data.sources.split_lists import split_lists
from kvision.data.sources.splits import ALIASES, ORDER, split_of
from kvision.data.sources.stems import Stems, by_stem
from kvision.data.sources.verdicts import check_folder, remembered

_IMAGE_FOLDERS = ("JPEGImages", "images", "Images")
_XML_FOLDERS = ("Annotations", "annotations", "labels")
_SHOWN = 3


def is_voc_folder(path):
    """Whether a folder holds pictures beside VOC's XML files."""
    return bool(_places(os.path.realpath(path)))


def voc_boxes(path, errors="skip", seed=0):
    """Reads a folder in the layout of VOC: `JPEGImages`, `Annotations`, `ImageSets/Main`.

    Pictures and XML files may also lie side by side, and in folders train, val and test.

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
    root = os.path.realpath(path)
    refused, images, xmls = [], {}, {}
    for top, image_folder, xml_folder in _places(root):
        images |= by_stem(_files(root, image_folder, looks_like_image, refused), image_folder, top)
        xmls |= by_stem(_files(root, xml_folder, _is_xml, refused), xml_folder, top)
    stems = Stems({"pictures": images, "XML files": xmls})
    lists = os.path.join("ImageSets", "Main")
    wanted, notes = split_lists(root, [lists], stems.known), []
    if not wanted:
        wanted, notes = _as_they_lie(xmls), _alone(images, stems)
    good = _check(root, wanted, stems, refused)
    names = _class_names(file for _, _, file in good.values())
    pictures = {}
    for split, members in wanted.items():
        # A list may name a picture twice, in two ways.
        found = {good[stem][0]: good[stem] for stem in members if stem in good}
        found = [_picture(root, *parts, names) for parts in found.values()]
        pictures |= {split: found} if found else {}
    source = BoxSource(pictures, None, seed)
    served = sum(len(found) for found in pictures.values())
    report(path, refused, errors, served, notes, source.repaired)
    return source.describe(path, names, refused)


def _check(root, wanted, stems, refused):
    """The picture of each stem and what checking found of both files, if they can be used."""
    pairs = {}
    for stem in dict.fromkeys(stem for members in wanted.values() for stem in members):
        files, reason = stems.find(stem)
        missing = [kind for kind, names in files.items() if not names]
        if missing or reason:
            reason = f"not among the {' and the '.join(missing)}" if missing else reason
            refused.append(SkippedFile(stem, reason))
        else:
            pairs.setdefault(tuple(names[0] for names in files.values()), []).append(stem)
    image_names, xml_names = zip(*pairs, strict=True) if pairs else ((), ())
    verdicts = check_folder(root, image_names)
    files = remembered(root, xml_names, check_voc_files, recall_voc_file, "boxes")
    good = {}
    for (image, xml), called, verdict, file in zip(
        pairs, pairs.values(), verdicts, files, strict=True
    ):
        if verdict.reason:
            refused.append(SkippedFile(image, verdict.reason))
        elif reason := file.reason or _misfit(file, verdict):
            refused.append(SkippedFile(xml, reason))
        else:
            good |= dict.fromkeys(called, (image, verdict, file))
    return good


def _picture(root, image, verdict, file, names):
    things = [
        Thing(names.index(name), to_pixels(corners), f"{name} {number}", difficult=difficult)
        for name, corners, difficult, number in file.objects
    ]
    base = os.path.basename(image)
    dropped = [RepairedBox(f"{base}, {name}", f"dropped: {reason}") for name, reason in file.wrong]
    return Picture(os.path.join(root, image), verdict, things, dropped)


def _misfit(file, verdict):
    """Why the boxes of a file cannot be those of the picture, or None.

    A wrong size alone is no reason: many files state that of another resolution by mistake.
    """
    if file.size == verdict.size or 0 in file.size:
        return None
    height, width = verdict.size
    turned = verdict.turned and file.size == (width, height)
    fits = all(max(box[0::2]) <= height and max(box[1::2]) <= width for _, box, *_ in file.objects)
    if fits and not turned:
        return None
    return f"it is for a picture of {verdict.sizes_apart(file.size)}"


def _class_names(files):
    found = {name for file in files for name, *_ in file.objects}
    if found and found <= set(VOC_NAMES[1:]):
        return list(VOC_NAMES[1:])
    return sorted(found)


def _files(root, folder, wanted, refused):
    found, strange = [], []
    list_files(root, folder, found, strange)
    refused += [file for file in strange if file not in refused]
    return [name for name in found if wanted(name)]


def _as_they_lie(xmls):
    """Split name -> stems, by the folders in which the XML files lie."""
    wanted = {split: [] for split in ORDER}
    for stem in sorted(xmls):
        wanted[split_of(xmls[stem][0])].append(stem)
    return {split: stems for split, stems in wanted.items() if stems}


def _alone(images, stems):
    """A line about the pictures without an XML file, for who meant them to be without objects."""
    alone = [stem for stem in sorted(images) if not stems.find(stem)[0]["XML files"]]
    shown = ", ".join(map(repr, alone[:_SHOWN])) + (", ..." if len(alone) > _SHOWN else "")
    text = f"{len(alone)} picture(s) have no XML file and are left out: {shown}"
    return [text] if alone else []


def _places(root):
    """What holds pictures and XML files: the folder, or those of splits in it, each with its two.

    Both may be in one, side by side, as labelImg and Roboflow leave them.
    """
    found = _pair(root, "")
    if found:
        return [found]
    splits = [name for name in folders(root) if name.lower() in ALIASES]
    return [pair for pair in (_pair(root, name) for name in splits) if pair]


def _pair(root, top):
    """`top`, its folder of pictures and that of XML files, relative to `root`; or None."""
    inside = folders(os.path.join(root, top))
    images = [name for name in _IMAGE_FOLDERS if name in inside]
    xmls = [name for name in _XML_FOLDERS if name in inside]
    if images and xmls and holds(os.path.join(root, top, xmls[0]), _is_xml):
        return top, os.path.join(top, images[0]), os.path.join(top, xmls[0])
    files = [entry.name for entry in entries(os.path.join(root, top)) if entry.is_file()]
    beside = any(map(_is_xml, files)) and any(map(looks_like_image, files))
    return (top, top, top) if beside else None


def _is_xml(name):
    return name.lower().endswith(".xml")
