"""What `kv.data.load(..., with_info=True)` tells about a source: names, sizes, what was skipped."""

import dataclasses
from collections.abc import Mapping

from kvision.data.splits import parse_split


@dataclasses.dataclass(frozen=True)
class ImageFeature:
    """Shape (height, width, channels; None where it varies) and dtype of the images."""

    shape: tuple
    dtype: str = "uint8"


@dataclasses.dataclass(frozen=True)
class LabelFeature:
    """The class names in the order of their indices."""

    names: list

    @property
    def num_classes(self):
        return len(self.names)


@dataclasses.dataclass(frozen=True)
class SplitInfo:
    """How many examples one split holds, in all and (where known) for each class."""

    num_examples: int
    class_counts: dict | None = None


@dataclasses.dataclass(frozen=True)
class SkippedFile:
    """A file that is not served: its path inside the folder, and why."""

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
            `features["label"].num_classes` and `features["image"].shape` as in TFDS.
        skipped: the files of a folder that are not served, with the reasons.
    """

    name: str
    splits: Mapping
    features: Mapping
    skipped: tuple = ()

    @property
    def class_names(self):
        """The class names in the order of their indices, or None for a source without labels."""
        # TFDS's own feature dict has no `get`.
        names = getattr(dict(self.features.items()).get("label"), "names", None)
        return None if names is None else list(names)

    @property
    def num_skipped(self):
        """How many files of a folder are not served."""
        return len(self.skipped)
