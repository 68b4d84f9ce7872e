"""Class names: read, checked, and written beside an exported file."""

import json
from pathlib import Path

from kvision.files.names import check_names
from kvision.files.reading import reading
from kvision.files.text import read_text

FILE_NAME = "labels.txt"
_OF_RUN = ("model.keras", "saved_model")


def read_labels(labels):
    """Class names as a list.

    Args:
        labels: a list of class names in the order of the model's outputs, the path of a text file
            with one name a line, or `None`.

    Returns:
        A list of strings, or `None`.

    Raises:
        ValueError: a name is empty, no string, very long, or has a line break or another character
            that cannot be printed.
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
    labels = check_names(labels, "The class names in `labels`")
    return [name.strip() for name in labels]


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


def labels_of_run(path, outputs=None):
    """Class names that a run's own files say of its `model.keras` or `saved_model`, or `None`.

    No other file is meant by them: a `.tflite` file has its labels inside, and a model that
    somebody put into the folder has none.

    Args:
        path: a file or folder.
        outputs: the number of classes in its output; `None` for any.
    """
    what = "The class names in"
    for file, labels in _said(path, what, ("classes",), ("about", "classes")):
        with reading(file, what):
            if labels and not isinstance(labels, list):
                raise TypeError(f"they must be a list. Received: {labels!r}")
            labels = read_labels(labels or None)
        # Of one output two classes may be known: what it is the score of, and what else there is.
        if labels and outputs in (None, len(labels), len(labels) - 1 if len(labels) == 2 else None):
            return labels
    return None


def task_of_run(path):
    """Returns the task that a run's own files give its `model.keras` or `saved_model`, or `None`.

    Args:
        path: a file or folder.
    """
    found = (name for _, name in _said(path, "The task in", ("task",), ("about", "task")))
    return next((name for name in found if name), None)


def _said(path, what, in_card, in_run):
    """Pairs of a file beside a run's own models and what is in it at a path of keys."""
    path = Path(path)
    if path.name not in _OF_RUN:
        return
    for name, keys in (("card.json", in_card), ("run.json", in_run)):
        file = path.parent / name
        if not file.is_file():
            continue
        with reading(file, what):
            value = json.loads(file.read_text(encoding="utf-8"))
            for key in keys:
                value = value.get(key, {})
        yield file, value


def label_text(labels):
    """The text of a label file: one name a line."""
    return "".join(f"{name}\n" for name in labels)
