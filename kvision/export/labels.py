"""Class names: read, checked, and written beside an exported file."""

import warnings
from pathlib import Path

from kvision.files.text import read_text

FILE_NAME = "labels.txt"


def read_labels(labels):
    """Class names as a list.

    Args:
        labels: a list of class names in the order of the model's outputs, the path of a text file
            with one name a line, or `None`.

    Returns:
        A list of strings, or `None`.

    Raises:
        ValueError: a name is empty, is no string or has a line break in it.
        FileNotFoundError: there is no such file.
    """
    if labels is None:
        return None
    if isinstance(labels, (str, Path)):
        path = Path(labels)
        if not path.is_file():
            raise FileNotFoundError(
                f"`labels` must be a list of class names or the path of a text file with one name "
                f"a line. There is no file at {path}."
            )
        labels = parse_labels(read_text(path))
    labels = list(labels)
    for position, name in enumerate(labels):
        if not isinstance(name, str) or not name.strip() or len(name.splitlines()) != 1:
            raise ValueError(
                "Every class name in `labels` must be one non-empty line of text. "
                f"Received: {name!r} at position {position}."
            )
    return [str(name).strip() for name in labels]


def parse_labels(text):
    """The names in the text of a label file; blank lines at its end do not count."""
    return [line.strip() for line in text.rstrip().splitlines()]


def check_label_count(labels, outputs):
    """Raises `ValueError` unless there is one label an output.

    Args:
        labels: a list of class names, or `None` for any number.
        outputs: the number of classes in the model's output.
    """
    if labels is not None and len(labels) != outputs:
        raise ValueError(
            f"`labels` must have one name for each of the model's {outputs} outputs. "
            f"Received: {len(labels)} names. Pass the names in the order of the class numbers."
        )


def labels_beside(path, outputs=None):
    """Class names from the `labels.txt` in the folder of `path`, or `None`.

    A file with another number of names than `outputs` belongs to another model: it is passed over
    with a warning.
    """
    beside = Path(path).parent / FILE_NAME
    labels = read_labels(beside) if beside.is_file() else None
    if labels and outputs and len(labels) != outputs:
        warnings.warn(
            f"{beside} was passed over: it has {len(labels)} names and {Path(path).name} has "
            f"{outputs} outputs.",
            stacklevel=2,
        )
        return None
    return labels


def label_text(labels):
    """The text of a label file: one name a line."""
    return "".join(f"{name}\n" for name in labels)
