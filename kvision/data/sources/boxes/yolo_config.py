"""YOLO's `data.yaml`: the classes, and which pictures are to train, validate and test on."""

import dataclasses
import os
import posixpath

import yaml

from kvision.data.sources.listing import entries, refusal
from kvision.data.sources.splits import ALIASES, ORDER
from kvision.files.reading import reading
from kvision.files.text import read_text

_ENDINGS = (".yaml", ".yml", ".data")
_USUAL = ("data.yaml", "data.yml", "dataset.yaml", "obj.data")
_LARGEST = 2**18  # bytes; a list of a thousand names has a fifth of that
MOST_NAMES = 10_000


@dataclasses.dataclass(frozen=True)
class YoloConfig:
    """What a `data.yaml` says.

    Attributes:
        name: of the file, in its folder.
        names: the class names in their order, or None.
        places: dict of split name to what is written there: folders, or lists of pictures.
        base: `path`, which is written before those.
        keypoints: whether the labels go on with keypoints after the box.
    """

    name: str
    names: list | None
    places: dict
    base: str = ""
    keypoints: bool = False


def find_config(root):
    """The name of the file of a folder that tells about YOLO's labels, or None.

    Args:
        root: the folder, a real path.
    """
    found = [entry.name for entry in entries(root) if entry.name.lower().endswith(_ENDINGS)]
    for name in sorted(found, key=lambda name: (name.lower() not in _USUAL, name)):
        if refusal(root, os.path.join(root, name)):
            continue
        try:
            if _splits(_content(root, name)):
                return name
        except ValueError:
            if name.lower() in _USUAL:
                raise
    return None


def read_config(root, name):
    """Reads such a file.

    Args:
        root: the folder, a real path.
        name: of the file in it.

    Returns:
        A `YoloConfig`.

    Raises:
        ValueError: if it is no such file.
    """
    content = _content(root, name)
    places = _splits(content)
    if not places:
        raise ValueError(
            f"{os.path.join(root, name)} must be YOLO's description of a data set: `names`, and "
            "`train`, `val` or `test` with folders of pictures or lists of them. "
            "It has none of the latter."
        )
    base = content.get("path")
    names = _names(root, name, content.get("names"))
    return YoloConfig(
        name, names, places, base if isinstance(base, str) else "", "kpt_shape" in content
    )


def find_place(root, config, split, place):
    """The folder or file that a `data.yaml` means, relative to `root`, or None.

    What is written may be meant for another machine, or for a folder above: it is shortened from
    the front until something is there. The name of a split is not cut off, so that "../test/images"
    never is "images", and nothing outside of `root` is looked at.

    Args:
        root: the folder of the file, a real path.
        config: a `YoloConfig`.
        split: the split for which it is written.
        place: what is written.
    """
    if "\0" in place + config.base:
        return None
    own, base = _parts(place), _parts(config.base)
    away = place.replace("\\", "/").startswith(("/", "..", "~")) or ":" in place
    # What Darknet writes begins at a folder above, and others' may begin with this folder.
    away = away or config.name.endswith(".data") or own[:1] == [os.path.basename(root)]
    parts = base + own
    for start in range(len(parts) if away else len(base) + 1):
        cut = {part.lower() for part in parts[len(base) : start]}
        if cut & {word for word, means in ALIASES.items() if means == split}:
            break
        name = os.path.join(*parts[start:]) if parts[start:] else ""
        path = os.path.realpath(os.path.join(root, name))
        inside = path == root or path.startswith(os.path.join(root, ""))
        if inside and os.path.exists(path):
            return name
    return None


def read_names(path):
    """The class names in a file with one a line."""
    lines = [line.strip() for line in read_text(path).splitlines()]
    return [line for line in lines if line] or None


def _content(root, name):
    path = os.path.join(root, name)
    with reading(path, "YOLO's data set"):
        if os.path.getsize(path) > _LARGEST:
            raise ValueError(f"it must be smaller than {_LARGEST:,} bytes")
        text = read_text(path)
        if name.lower().endswith(".data"):  # of Darknet
            pairs = [line.partition("=") for line in text.splitlines()]
            return {key.strip(): value.strip() for key, equals, value in pairs if equals}
        # Nothing but text, lists and dicts: a class may be called "no" or "1", and no code is run.
        content = yaml.load(text, Loader=yaml.BaseLoader)
        return content if isinstance(content, dict) else {}


def _splits(content):
    """Split name -> the list of what is written there, of all splits for which there is any."""
    found = {split: [] for split in ORDER}
    for key, value in content.items():
        split = ALIASES.get(key) if isinstance(key, str) else None
        values = value if isinstance(value, list) else [value]
        if split:
            found[split] += [text for text in values if isinstance(text, str) and text.strip()]
    known = "names" in content or "nc" in content
    return {split: values for split, values in found.items() if values and known}


def _names(root, name, names):
    if names is None:
        return None
    if isinstance(names, str):
        place = find_place(root, YoloConfig(name, None, {}), "train", names)
        path = os.path.join(root, place or "")
        return read_names(path) if os.path.isfile(path) else None
    try:
        if isinstance(names, list):
            numbered = dict(enumerate(names))
        else:
            numbered = {int(number): text for number, text in names.items()}
        good = numbered and all(isinstance(text, str) and text for text in numbered.values())
        good = good and min(numbered) >= 0 and max(numbered) < MOST_NAMES
        good = good and len(set(numbered.values())) == len(numbered)
    except (TypeError, ValueError):
        good = False
    if not good:
        raise ValueError(
            f"`names` in {os.path.join(root, name)} must be a list of different names, or a "
            f"dict of class number, below {MOST_NAMES:,}, to name. Write it so."
        )
    return [numbered.get(index, f"class {index}") for index in range(max(numbered) + 1)]


def _parts(place):
    """The folders on the way that is written, without a drive and what leads up first."""
    parts = posixpath.normpath(place.replace("\\", "/")).split("/")
    return [part for part in parts if part not in ("", ".", "..", "~") and not part.endswith(":")]
