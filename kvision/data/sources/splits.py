"""The split grammar of TFDS, for sources of our own: `"train[:80%]"`, `"train[-100:]+test"`."""

import dataclasses
import difflib
import re

ALIASES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
ORDER = tuple(dict.fromkeys(ALIASES.values()))
_PIECE = re.compile(r"^\s*(?P<name>\w+)\s*(?:\[\s*(?P<slice>[^\[\]]*?)\s*\])?\s*$")
_BOUNDARY = re.compile(r"^(?P<number>-?\d[\d_]*(?:\.\d+)?)\s*(?P<percent>%?)$")


@dataclasses.dataclass(frozen=True)
class SplitPiece:
    """The examples `start <= i < stop` of the split `name`."""

    name: str
    start: int
    stop: int


def parse_split(split, sizes):
    """Reads a split string against the sizes of the splits.

    Args:
        split: such as `"train"`, `"train[10%:20%]"`, `"train[-100:]"`, `"train+test"` or `"all"`.
            `"val"` and `"valid"` mean `"validation"`.
        sizes: dict of split name to number of examples.

    Returns:
        A list of `SplitPiece`, one for each part between the plus signs.

    Raises:
        ValueError: if the string cannot be read, names no split, or holds no example.

    Example:

    >>> parse_split("val[:50%]", {"train": 80, "validation": 20})
    [SplitPiece(name='validation', start=0, stop=10)]
    """
    if not isinstance(split, str):
        raise ValueError(
            "`split` must be a string such as 'train[:80%]', a list of such strings, or None for "
            f"all splits. Received: {split!r}"
        )
    pieces = []
    for text in split.split("+"):
        match = _PIECE.match(text)
        if match is None:
            raise ValueError(
                "`split` must look like 'train', 'train[:80%]', 'train[10%:20%]', 'train[-100:]' "
                f"or 'train+test'. Received: {split!r}"
            )
        for name in _names(match["name"], sizes, split):
            start, stop = _bounds(match["slice"], sizes[name], name, split)
            pieces.append(SplitPiece(name, start, stop))
    if not any(piece.stop > piece.start for piece in pieces):
        raise ValueError(
            f"The split {split!r} holds no examples: the sizes are {_describe(sizes)}. "
            "Ask for a larger slice."
        )
    return pieces


def split_of(path):
    """The split that a file belongs to by the first folder on its way that is called after one.

    Example:

    >>> split_of("images/val2017/1.jpg"), split_of("images/1.jpg")
    ('validation', 'train')
    """
    for folder in path.replace("\\", "/").split("/")[:-1]:
        word = folder.lower().rstrip("0123456789_-")
        if word in ALIASES:
            return ALIASES[word]
    return "train"


def canonical_split(split, names):
    """`split` with the aliases of its split names replaced where `names` lacks them."""

    def replace(match):
        word = match[0]
        known = ALIASES.get(word.lower(), word)
        return word if word in names or known not in names else known

    return re.sub(r"(?<![\w\[:%-])[A-Za-z_]\w*", replace, split)


def _names(name, sizes, split):
    if name in sizes:
        return [name]
    if name.lower() == "all":
        return list(sizes)
    known = ALIASES.get(name.lower())
    if known in sizes:
        return [known]
    close = difflib.get_close_matches(name, sizes, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(
        f"There is no split {name!r}; the splits are {_describe(sizes)}.{hint} "
        f"Received: split={split!r}"
    )


def _bounds(text, size, name, split):
    if text is None:
        return 0, size
    parts = text.split(":")
    if len(parts) != 2:
        raise ValueError(
            "A slice of a split must have the form [start:stop], each a number of examples or a "
            f"percentage. Received: {split!r}"
        )
    start = _boundary(parts[0], 0, size, split)
    stop = _boundary(parts[1], size, size, split)
    if not 0 <= start <= stop <= size:
        raise ValueError(
            f"The slice [{text}] does not lie inside the {size} examples of {name!r}. "
            f"Received: split={split!r}"
        )
    return start, stop


def _boundary(text, default, size, split):
    text = text.strip()
    if not text:
        return default
    match = _BOUNDARY.match(text)
    if match is None or ("." in match["number"] and not match["percent"]):
        raise ValueError(
            "The ends of a slice must be whole numbers of examples or percentages, such as "
            f"[:100], [-100:] or [10%:20%]. Received: {split!r}"
        )
    number = float(match["number"]) if match["percent"] else int(match["number"])
    if match["percent"]:
        if abs(number) > 100:
            raise ValueError(
                f"The percentages of a slice must lie in -100..100. Received: {split!r}"
            )
        number = round(number * size / 100)
    return number + size if text.startswith("-") else number


def _describe(sizes):
    return ", ".join(f"{name!r} ({size} examples)" for name, size in sizes.items())
