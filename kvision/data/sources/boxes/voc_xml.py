"""VOC's XML files: the objects in a picture."""

import dataclasses
import math
from xml.etree import ElementTree

from kvision.files.text import read_xml

_CORNERS = ("ymin", "xmin", "ymax", "xmax")


@dataclasses.dataclass(frozen=True)
class VocFile:
    """What checking one XML file found.

    Attributes:
        objects: list of (class name, (ymin, xmin, ymax, xmax) as in the file, difficult, number in
            the file).
        size: (height, width) that the file states, 0 where it states none.
        reason: why it cannot be used, or None.
        wrong: list of (name, reason) of the objects that cannot be used.
    """

    objects: tuple = ()
    size: tuple = (0, 0)
    reason: str | None = None
    wrong: tuple = ()


def check_voc_files(paths):
    """Reads XML files.

    Args:
        paths: list of paths.

    Returns:
        A list of `VocFile`, one for each.
    """
    return [_read(path) for path in paths]


def recall_voc_file(objects, size, reason, wrong):
    """A `VocFile` of its fields as JSON gives them back."""
    height, width = size
    objects = [
        (str(name), tuple(map(float, box)), bool(hard), int(number))
        for name, box, hard, number in objects
    ]
    wrong = tuple((str(name), str(said)) for name, said in wrong)
    return VocFile(tuple(objects), (int(height), int(width)), reason, wrong)


def to_pixels(corners):
    """Corners that name the first and the last pixel, counted from 1, as the edges of the box.

    A single point, with both corners the same, stays one and so has no area.
    """
    ymin, xmin, ymax, xmax = corners
    if (ymin, xmin) == (ymax, xmax):
        return corners
    # Swapped corners stay so, to be found out later; the first pixel is that of the lower number.
    (ymin, ymax), (xmin, xmax) = _edges(ymin, ymax), _edges(xmin, xmax)
    return ymin, xmin, ymax, xmax


def _edges(first, last):
    return (first - 1, last) if first <= last else (first, last - 1)


class _Builder(ElementTree.TreeBuilder):
    """Builds a tree of a file without a DOCTYPE, in which entities could be declared."""

    def doctype(self, name, pubid, system):
        raise ValueError("it has a DOCTYPE, which annotations have no need of")


def _read(path):
    try:
        root = ElementTree.fromstring(read_xml(path), ElementTree.XMLParser(target=_Builder()))
        if root.tag != "annotation":
            raise ValueError(f"it holds <{root.tag}>, not <annotation>")
        objects, wrong = [], []
        for number, element in enumerate(root.findall("object"), start=1):
            name, corners, difficult = _object(element)
            if name and corners:
                objects.append((name, corners, difficult, number))
            else:
                reason = "it has no bndbox" if name else "it has no name"
                wrong.append((f"{name or 'object'} {number}", reason))
        size = root.find("size")
        stated = tuple(int(_number(size, key, 0)) for key in ("height", "width"))
        return VocFile(tuple(objects), stated, wrong=tuple(wrong))
    except (OSError, ValueError, ElementTree.ParseError) as error:
        return VocFile(reason=f"no annotation of VOC: {error}")


def _object(element):
    """The name of an object, its corners or None (some have a polygon alone), and whether it is
    difficult."""
    name, box = element.findtext("name"), element.find("bndbox")
    corners = None if box is None else tuple(_number(box, key, math.nan) for key in _CORNERS)
    return (name or "").strip(), corners, _number(element, "difficult", 0) > 0


def _number(element, key, default):
    text = None if element is None else element.findtext(key)
    try:
        number = float(text) if text and text.strip() else default
    except ValueError:
        return default
    return number if math.isfinite(number) else default
