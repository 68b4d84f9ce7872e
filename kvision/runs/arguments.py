"""What people write on a command line: names with values, sizes, files to write, photos to read."""

import ast
from pathlib import Path

from kvision.files.writing import check_writable

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".pdf", ".svg")


def named_value(text):
    """Returns `'alpha=0.5'` as `('alpha', 0.5)`, `'padding=same'` as `('padding', 'same')`.

    Raises:
        ValueError: where there is no `=`.

    Example:

    >>> named_value("filters=(8, 16)")
    ('filters', (8, 16))
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"An option must be NAME=VALUE. Received: {text}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def size(text):
    """Returns `'128'` as `(128, 128)`, `'96x128'` as `(96, 128)`.

    Raises:
        ValueError: where it is neither.

    Example:

    >>> size("96x128")
    (96, 128)
    """
    sides = text.split("x")
    if len(sides) > 2 or not all(side.isdecimal() and int(side) for side in sides):
        raise ValueError(f"A size must be pixels such as 128 or 96x128. Received: {text}")
    return tuple(map(int, (sides * 2)[:2]))


def check_target(option, path, endings):
    """Raises where a file cannot be written as an option says, before any work for it is done.

    Raises:
        ValueError: where its name has none of the endings, or is a folder's.
        OSError: where its folder cannot be written to.
    """
    if path is None:
        return
    if path.suffix.lower() not in endings or path.is_dir():
        raise ValueError(
            f"{option} must name a file that ends in {' or '.join(endings)}. "
            f"Received: {str(path)!r}"
        )
    check_writable(path.parent)


def photos_in(paths):
    """Returns the photos, and all files in the folders among them but for hidden ones.

    Raises:
        FileNotFoundError: where there is nothing at a path.
    """
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"There is no photo or folder {str(path)!r}.")
    return [file for path in paths for file in (_inside(path) if path.is_dir() else [path])]


def _inside(folder):
    from kvision.data.sources.listing import entries

    for entry in entries(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _inside(entry.path)
        elif entry.is_file():
            yield Path(entry.path)


def groups_of(files, inputs):
    """Returns files as tuples, one file for each input of a model, in the order that they came.

    Args:
        files: a list of paths.
        inputs: the names of the inputs.

    Raises:
        ValueError: where some are left over.
    """
    count = len(inputs)
    if len(files) % count:
        raise ValueError(
            f"This model takes {count} photos at a time ({', '.join(inputs)}). Received: "
            f"{len(files)} photos."
        )
    return [tuple(files[first : first + count]) for first in range(0, len(files), count)]


def models_in(paths):
    """Yields the paths, each run folder replaced by all models in it."""
    for path in paths:
        inside = [path / "model.keras", path / "saved_model", *sorted(path.glob("*.tflite"))]
        yield from [file for file in inside if file.exists()] or [path]
