"""Sources that are arrays in memory: `.npz` files, and the embedded digits."""

import dataclasses
import zipfile

import numpy as np
import tensorflow as tf

from kvision.data.info import (
    DatasetInfo,
    ImageFeature,
    LabelFeature,
    SkippedFile,
    SplitDict,
    SplitInfo,
)
from kvision.data.sources.listing import report
from kvision.data.sources.order import stratified_order
from kvision.data.sources.pixels import as_pixels
from kvision.data.sources.readable import readable_dataset
from kvision.files.reading import check_memory
from kvision.files.text import decode

_MOST_CLASSES = 10_000  # that are believed without names or as many examples
_TEST_DIGITS = 360
_VALIDATION_NAMES = ("val", "valid", "validation")


@dataclasses.dataclass(frozen=True)
class ArraySource:
    """Arrays as a source: what is known of them, and datasets of pieces of their splits."""

    info: DatasetInfo
    arrays: dict

    def dataset(self, pieces):
        """A `tf.data.Dataset` of {"image", "label"} for a list of `SplitPiece`."""
        parts = [self._piece(piece) for piece in pieces if piece.stop > piece.start]
        dataset = parts[0]
        for part in parts[1:]:
            dataset = dataset.concatenate(part)
        return dataset

    def _piece(self, piece):
        images, labels, order = self.arrays[piece.name]
        # Rows are gathered one at a time, so that no slice or permutation copies the pixels.
        with tf.device("CPU:0"):
            images, labels = tf.constant(images), tf.constant(labels)
        return readable_dataset(
            order[piece.start : piece.stop],
            lambda row: {"image": images[row], "label": labels[row]},
        )


def digits():
    """scikit-learn's 1,797 real handwritten digits, with a fixed stratified test split.

    Returns:
        An `ArraySource` of 1,437 training and 360 test images of 8x8 grey pixels in 0..255.
    """
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    # The scans count the dark dots in blocks of 4x4: 0..16.
    images = np.round(pixels.reshape(-1, 8, 8, 1) * (255.0 / 16.0)).astype("uint8")
    labels = labels.astype("int64")
    # The order is fair in every prefix, so what it leaves is a stratified test set.
    order = stratified_order(labels, seed=0)
    names = [str(digit) for digit in range(10)]
    orders = {"train": order[:-_TEST_DIGITS], "test": order[-_TEST_DIGITS:]}
    arrays = {split: (images, labels, order) for split, order in orders.items()}
    return _source("digits", arrays, names)


def npz(path, errors="skip", seed=0):
    """Reads images and labels from a `.npz` file; nothing in the file is unpickled.

    The arrays are `x_train, y_train` and, if there, `x_val, y_val` and `x_test, y_test` (as in
    `keras.datasets`), or one pair `x, y` or `images, labels`, which becomes the split "train".
    Images have the shape (n, height, width) or (n, height, width, channels) and hold uint8, other
    numbers in 0..255, or floats in 0..1; most of all numbers decide which, and the few outside are
    cut off. Labels are whole numbers or strings of shape (n,).
    `class_names` is optional.

    Args:
        path: the file.
        errors: "skip" leaves out pictures with pixels that are no numbers, with one warning that
            names them; "raise" stops instead.
        seed: the order of the examples in each split depends on it.

    Returns:
        An `ArraySource`.

    Raises:
        ValueError: if the file is no such archive, or its arrays do not fit together, or, with
            `errors="raise"`, a picture has to be left out.
    """
    content = _read_npz(path)
    keys = _find_pairs(content, path)
    pixels, good, notes = as_pixels({x: content[x] for x, _ in keys.values()}, path)
    for x, y in keys.values():
        if content[y].shape[:1] != content[x].shape[:1] or not len(content[y]):
            raise ValueError(
                f"`{x}` and `{y}` in {path} must hold the same number of examples, at least one. "
                f"Received: shapes {content[x].shape} and {content[y].shape}"
            )
    refused = [
        SkippedFile(f"{x}[{number}]", "its pixels are no numbers")
        for x, whole in good.items()
        for number in np.flatnonzero(~whole)
    ]
    names = _names(content["class_names"], path) if "class_names" in content else None
    labels = {split: (content[y][good[x]], y) for split, (x, y) in keys.items()}
    labels, names = _labels(labels, names, path)
    arrays = {
        split: (pixels[x], labels[split], stratified_order(labels[split], seed))
        for split, (x, _) in keys.items()
    }
    report(path, refused, errors, sum(map(len, labels.values())), notes)
    return _source(str(path), arrays, names, refused)


def _read_npz(path):
    try:
        with zipfile.ZipFile(path) as members:
            needed = sum(member.file_size for member in members.infolist())
        check_memory(path, needed, "What is packed")
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except Exception as error:  # zipfile, zlib, numpy and pickle each raise their own
        raise ValueError(
            f"{path} must be an .npz archive of plain arrays (numpy.savez; no Python objects, "
            f"which would have to be unpickled). Reading it failed with: {error}"
        ) from error


def _find_pairs(content, path):
    pairs = {}
    if "x_train" in content:
        for split, suffixes in (
            ("train", ("train",)),
            ("validation", _VALIDATION_NAMES),
            ("test", ("test",)),
        ):
            found = [suffix for suffix in suffixes if f"x_{suffix}" in content]
            if len(found) > 1:
                raise ValueError(
                    f"{path} must hold each split once. Received: "
                    f"{' and '.join(f'x_{suffix}' for suffix in found)}"
                )
            if found:
                pairs[split] = (f"x_{found[0]}", f"y_{found[0]}")
    for x, y in (("x", "y"), ("images", "labels")):
        if not pairs and x in content:
            pairs["train"] = (x, y)
    missing = [y for _, y in pairs.values() if y not in content]
    if not pairs or missing:
        raise ValueError(
            f"{path} must hold the arrays x_train and y_train (and x_val, y_val, x_test, y_test if "
            f"wanted), or x and y, or images and labels. Received: {sorted(content)}"
        )
    return pairs


def _labels(arrays, names, path):
    """Labels as int64 indices for every split, and the class names."""
    arrays = {
        split: (y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y, key)
        for split, (y, key) in arrays.items()
    }
    for y, key in arrays.values():
        if y.ndim != 1 or y.dtype.kind not in "iuSU":
            raise ValueError(
                f"`{key}` in {path} must hold one whole number or string for each image. "
                f"Received: shape {y.shape}, dtype {y.dtype}"
            )
    if any(y.dtype.kind in "SU" for y, _ in arrays.values()):
        texts = {split: _texts(y) for split, (y, _) in arrays.items()}
        names = names or sorted(set().union(*(set(y.tolist()) for y in texts.values())))
        index = {name: i for i, name in enumerate(names)}
        strange = sorted({text for y in texts.values() for text in y.tolist()} - set(index))
        if strange:
            raise ValueError(
                f"Every label in {path} must be one of its class_names {names}. Received: {strange}"
            )
        return {
            split: np.array([index[text] for text in y.tolist()], "int64")
            for split, y in texts.items()
        }, names
    high = max(int(y.max()) for y, _ in arrays.values())
    low = min(int(y.min()) for y, _ in arrays.values())
    count = sum(len(y) for y, _ in arrays.values())
    if not names and high >= max(_MOST_CLASSES, count):
        raise ValueError(
            f"The labels in {path} must be class indices from 0, or come with `class_names`. "
            f"Received: {count} labels up to {high}"
        )
    names = names or [str(i) for i in range(high + 1)]
    if low < 0 or high >= len(names):
        raise ValueError(
            f"The labels in {path} must be class indices 0..{len(names) - 1}. "
            f"Received: {low}..{high}"
        )
    return {split: y.astype("int64") for split, (y, _) in arrays.items()}, names


def _names(array, path):
    if array.ndim != 1:
        raise ValueError(
            f"`class_names` in {path} must be a list of names. Received: shape {array.shape}"
        )
    return _texts(array).tolist()


def _texts(array):
    """An array of text, bytes or numbers as text."""
    if array.dtype.kind != "S":
        return array.astype(str)
    different, places = np.unique(array, return_inverse=True)
    texts = [decode(text, None) for text in different.tolist()]
    return np.array(texts, str)[places.reshape(array.shape)]


def _source(name, arrays, names, refused=()):
    splits, shapes = {}, set()
    for split, (images, labels, order) in arrays.items():
        counts = np.bincount(labels[order], minlength=len(names)).tolist()
        splits[split] = SplitInfo(len(order), dict(zip(names, counts, strict=True)))
        shapes.add(images.shape[1:])
    shape = shapes.pop() if len(shapes) == 1 else (None, None, 3)
    features = {"image": ImageFeature(shape), "label": LabelFeature(list(names))}
    return ArraySource(DatasetInfo(name, SplitDict(splits), features, tuple(refused)), arrays)
