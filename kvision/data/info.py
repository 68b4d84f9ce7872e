"""What `kv.data.load(..., with_info=True)` tells about a source: names, sizes, what was skipped."""

import dataclasses
from collections.abc import Mapping

from kvision import tasks
from kvision.data.sources.splits import parse_split
from kvision.files.names import check_different, check_names
from kvision.ops.masks import VOID


@dataclasses.dataclass(frozen=True)
class ImageFeature:
    """Shape (height, width, channels; None where it varies) and dtype of the images."""

    shape: tuple
    dtype: str = "uint8"


@dataclasses.dataclass(frozen=True)
class LabelFeature:
    """The class names in the order of their indices."""

    names: list

    def __post_init__(self):
        check_different(check_names(self.names))

    @property
    def num_classes(self):
        return len(self.names)


@dataclasses.dataclass(frozen=True)
class MaskFeature:
    """What the numbers in the masks mean: a class index for each pixel, or nothing known.

    Attributes:
        names: the class names in the order of their indices; background is a class like others.
        colors: (red, green, blue) of each class in 0..255, or None where the source has no table.
        void: the number of pixels without a label.
    """

    names: list
    colors: list | None = None
    void: int = VOID

    def __post_init__(self):
        check_different(check_names(self.names))

    @property
    def num_classes(self):
        return len(self.names)


@dataclasses.dataclass(frozen=True)
class SplitInfo:
    """How many examples one split holds, in all and (where known) for each class.

    The counts of masks say in how many of them each class occurs, those of boxes how many objects
    there are.
    """

    num_examples: int
    class_counts: dict | None = None


@dataclasses.dataclass(frozen=True)
class SkippedFile:
    """A file that is not served: its path inside the folder, and why."""

    name: str
    reason: str


@dataclasses.dataclass(frozen=True)
class RepairedBox:
    """A box that was put right or dropped: its file and name in it, and why."""

    name: str
    reason: str


class SplitDict(Mapping):
    """The splits by name; slices such as `info.splits["train[:80%]"].num_examples` work too."""

    def __init__(self, splits):
        self._splits = dict(splits)

    def __getitem__(self, name):
        if name in self._splits:
            return self._splits[name]
        if not isinstance(name, str) or not set(name) & set("[+"):
            raise KeyError(name)
        sizes = {key: value.num_examples for key, value in self._splits.items()}
        pieces = parse_split(name, sizes)
        return SplitInfo(sum(piece.stop - piece.start for piece in pieces))

    def __iter__(self):
        return iter(self._splits)

    def __len__(self):
        return len(self._splits)

    def __repr__(self):
        return f"SplitDict({self._splits!r})"


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """What is known of a source without reading it again. Attributes are named as in TFDS.

    Attributes:
        name: the source, as a person would call it.
        splits: mapping of split name to `SplitInfo`.
        features: mapping of feature name to its description. `features["label"].names`,
            `features["label"].num_classes` and `features["image"].shape` as in TFDS;
            `features["segmentation_mask"]` is a `MaskFeature`; `features["objects"]["label"].names`
            are the classes of objects.
        skipped: the files of a folder that are not served, with the reasons.
        repaired: the boxes that were put right or dropped, with the reasons.
        listing: a digest of the examples, by which `kv.data.fingerprint` knows them; not of TFDS.
    """

    name: str
    splits: Mapping
    features: Mapping
    skipped: tuple = ()
    repaired: tuple = ()
    listing: str = ""

    @property
    def class_names(self):
        """The class names in the order of their indices, or None for a source without labels.

        Those of the masks where there is no other label, and those of the objects where there is
        neither.
        """
        features = dict(self.features.items())  # TFDS's own feature dict has no `get`
        for name in dict.fromkeys(tasks.named(name).target for name in tasks.names()):
            part = tasks.part("data.features", name) if name in features else None
            if hasattr(part, "class_names"):
                names = part.class_names(features[name])
                return None if names is None else list(names)
        return None

    @property
    def num_skipped(self):
        """How many files of a folder are not served."""
        return len(self.skipped)
