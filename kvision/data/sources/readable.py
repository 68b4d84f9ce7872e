"""What lies behind a dataset of `kv.data.load`: rows that are cheap to shuffle, and their reader.

Shuffling file names before decoding is a full shuffle that costs nothing; shuffling pictures needs
memory for them. A dataset that was changed on the way to `batches` is simply not found here.
"""

import weakref

import tensorflow as tf

_BEHIND = weakref.WeakKeyDictionary()


def readable_dataset(rows, read):
    """The dataset `rows.map(read)`, which `rows_and_reader` can take apart again.

    Args:
        rows: int64 array of row numbers, in the order in which to serve them.
        read: function of a row number (int64 scalar tensor) that returns an example.

    Returns:
        A `tf.data.Dataset`.
    """
    numbers = tf.data.Dataset.from_tensor_slices(rows)
    dataset = numbers.map(read, tf.data.AUTOTUNE)
    _BEHIND[dataset] = (numbers, read)
    return dataset


def rows_and_reader(dataset):
    """The dataset of row numbers and the function that reads one, or None if unknown."""
    return _BEHIND.get(dataset)


def mapped_dataset(dataset, function):
    """`dataset.map(function)`, which `rows_and_reader` can still take apart if it could before.

    Args:
        dataset: a `tf.data.Dataset` of dicts.
        function: of an example, that returns one.

    Returns:
        A `tf.data.Dataset`.
    """
    mapped = dataset.map(function, tf.data.AUTOTUNE)
    behind = rows_and_reader(dataset)
    if behind is not None:
        numbers, read = behind
        _BEHIND[mapped] = (numbers, lambda row: function(read(row)))
    return mapped
