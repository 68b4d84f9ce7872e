"""`load`: one call for every source, with the manners of `tfds.load`."""

import difflib
import os
import pathlib

from kvision.data.arrays import digits, npz
from kvision.data.folders import image_folder
from kvision.data.splits import parse_split
from kvision.data.tfds_source import is_tfds_name, load_tfds, tfds_names

_EMBEDDED = {"digits": digits}


def load(source, split=None, with_info=False, *, errors="skip", seed=0, **tfds_kwargs):
    """Opens a source of images as `tf.data.Dataset`s of single examples.

    Use it as `tfds.load`. Each example is a dict in TFDS's own feature names: `image` (uint8,
    (height, width, channels)), `label` (int64), and for some TFDS sources `objects` or
    `segmentation_mask`. `kv.data.batches` makes of it what `fit` takes.

    The examples of a folder or an `.npz` come in a random but fixed order in which every prefix
    holds the classes in their proportions, so that `"train[:80%]"` and `"train[80%:]"` are a fair
    pair. A folder is checked first: every file is decoded once (and that remembered in the user's
    cache folder), what cannot be decoded is left out and named in one warning.

    Args:
        source: one of

            - `"digits"`: scikit-learn's 1,797 handwritten digits, no network needed;
            - a folder of class folders, or of train, val and test folders of class folders;
            - an `.npz` file with `x_train, y_train, x_test, y_test`, or `x, y`, or
              `images, labels`;
            - the name of a TFDS data set, `"tfds:cifar10"` or plainly `"cifar10"`.

            A folder or file of that name goes before a TFDS name.
        split: None for a dict of all splits; a string such as `"train"`, `"train[:80%]"`,
            `"train[-100:]"`, `"train+test"` for one dataset; a list of strings for a list.
            `"val"` and `"valid"` mean `"validation"`.
        with_info: whether to return the pair (datasets, info).
        errors: for folders: `"skip"` leaves damaged files out, `"raise"` stops at them.
        seed: the order of the examples of folders and `.npz` files depends on it.
        **tfds_kwargs: passed to `tfds.load`, for example `data_dir`.

    Returns:
        What `split` asks for. With `with_info=True`, also the info: `info.class_names`,
        `info.splits["train"].num_examples`, `info.features["label"].num_classes`,
        `info.features["image"].shape` and, for folders, `info.skipped`.

    Raises:
        FileNotFoundError: if `source` is a path and nothing is there.
        ValueError: if the source or the split is unknown, or nothing in it can be served.

    Example:

    >>> train, info = kv.data.load("digits", split="train[:80%]", with_info=True)
    >>> len(train), info.splits["test"].num_examples
    (1150, 360)
    """
    if errors not in ("skip", "raise"):
        raise ValueError(f"`errors` must be 'skip' or 'raise'. Received: {errors!r}")
    if not isinstance(source, (str, os.PathLike)):
        raise ValueError(
            f"`source` must be a name or a path. Received: {source!r} of type {type(source)}"
        )
    text = os.fspath(source)
    named = isinstance(source, str) and text.startswith("tfds:")
    opened = None if named else _open_local(source, text, errors, seed)
    if opened is None:
        name = text.removeprefix("tfds:")
        if not is_tfds_name(name):
            raise _unknown(text, name)
        return load_tfds(name, split, with_info, **tfds_kwargs)
    if tfds_kwargs:
        raise ValueError(
            f"{sorted(tfds_kwargs)} are arguments for TFDS; {text!r} is no TFDS source."
        )
    datasets = _datasets(opened, split)
    return (datasets, opened.info) if with_info else datasets


def _open_local(source, text, errors, seed):
    """The source if it is embedded or lies on the disk, None if it may be a TFDS name."""
    if isinstance(source, str) and text in _EMBEDDED:
        return _EMBEDDED[text]()
    path = pathlib.Path(text).expanduser()
    if path.is_dir():
        return image_folder(path, errors, seed)
    if path.is_file() and path.suffix.lower() == ".npz":
        return npz(path, seed)
    if path.is_file():
        raise ValueError(
            f"A file given as `source` must be an .npz archive of arrays. Received: {text!r}. "
            "For single images give the folder of class folders that they lie in."
        )
    looks_like_path = (
        not isinstance(source, str)
        or os.sep in text
        or text.startswith((".", "~"))
        or path.suffix.lower() == ".npz"
    )
    # TFDS names may carry a configuration: "coco/2017".
    if looks_like_path and not is_tfds_name(text):
        raise FileNotFoundError(_missing(path, text))
    return None


def _datasets(opened, split):
    sizes = {name: info.num_examples for name, info in opened.info.splits.items()}
    if split is None:
        return {name: opened.dataset(parse_split(name, sizes)) for name in sizes if sizes[name]}
    if isinstance(split, (list, tuple)):
        return [opened.dataset(parse_split(part, sizes)) for part in split]
    return opened.dataset(parse_split(split, sizes))


def _missing(path, text):
    parent = path.parent
    beside = [entry.name for entry in parent.iterdir()] if parent.is_dir() else []
    close = difflib.get_close_matches(path.name, beside, n=3)
    hint = (
        f" Did you mean {' or '.join(repr(str(parent / name)) for name in close)}?" if close else ""
    )
    return f"There is no folder or .npz file {text!r}.{hint}"


def _unknown(text, name):
    close = difflib.get_close_matches(name, [*_EMBEDDED, *tfds_names()], n=3)
    hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
    return ValueError(
        f"Unknown source {text!r}.{hint} `source` must be 'digits', a folder of class folders, an "
        ".npz file, or the name of a TFDS data set ('tfds:cifar10' or 'cifar10')."
    )
