"""Global batches cut into equal shares for replicas, with tf.data alone."""

import tensorflow as tf


def input_options(options, devices):
    """How batches reach the replicas: on CPUs nothing is read ahead for each of them.

    TensorFlow 2.21 frees the dataset of a distributed iterator before it stops the thread that
    reads ahead (`dataset_` in multi_device_iterator_ops.cc), and the process ends in a segmentation
    fault where that thread has just read a batch. Keras drops such an iterator at the start of
    each `fit` and `evaluate`. A thread that never reads ahead sleeps then. On GPUs, where reading
    ahead hides the copies, it stays.

    Args:
        options: `tf.distribute.InputOptions` that someone asks for, or None.
        devices: names of the devices of the replicas.
    """
    if options is None and all("CPU" in device for device in devices):
        return tf.distribute.InputOptions(experimental_per_replica_buffer_size=0)
    return options


def can_split(element_spec):
    """Whether every part of a batch is a dense tensor with a batch axis.

    Args:
        element_spec: what `dataset.element_spec` gives.
    """
    return all(
        isinstance(spec, tf.TensorSpec) and spec.shape.rank is not None and spec.shape.rank > 0
        for spec in tf.nest.flatten(element_spec)
    )


def splits_evenly(element_spec, replicas):
    """Whether every batch is known to hold a multiple of `replicas` samples."""
    sizes = [spec.shape[0] for spec in tf.nest.flatten(element_spec)]
    return all(size is not None and size % replicas == 0 for size in sizes)


def batch_rows(batch):
    """The number of samples in a batch, a scalar int32 tensor."""
    return tf.shape(tf.nest.flatten(batch)[0])[0]


def split_batches(dataset, replicas, *, first=0, count=None):
    """Cuts every batch into `replicas` shares whose sizes differ by one sample at most.

    tf.distribute itself cuts shares of `ceil(batch_size / replicas)` samples, so that a last batch
    may give everything to the first replica and nothing to the others.

    Args:
        dataset: a `tf.data.Dataset` of batches, for which `can_split` holds.
        replicas: the number of shares of a batch, 1 or more.
        first: the first share to keep.
        count: how many shares to keep. Defaults to all that follow `first`.

    Returns:
        A `tf.data.Dataset` with `count` elements for every batch, in the order of the shares. The
        larger shares come first; a batch with fewer samples than replicas ends in empty ones.
    """
    spec = dataset.element_spec
    count = replicas - first if count is None else count

    def shares(*batch):
        batch = tf.nest.pack_sequence_as(spec, tf.nest.flatten(batch))
        rows = tf.cast(batch_rows(batch), tf.int64)

        def share(index):
            smaller, larger_shares = rows // replicas, rows % replicas
            start = index * smaller + tf.minimum(index, larger_shares)
            stop = start + smaller + tf.cast(index < larger_shares, tf.int64)
            return tf.nest.map_structure(lambda tensor: tensor[start:stop], batch)

        return tf.data.Dataset.range(first, first + count).map(share)

    return dataset.flat_map(shares).prefetch(tf.data.AUTOTUNE)


def lend_samples(dataset, least):
    """Gives a batch of fewer than `least` samples the last samples of the batch before it.

    The number of batches and the order of the samples stay. The batch before keeps `least` samples
    at least, so batches of `2 * least - 1` samples or more can always lend enough.

    Args:
        dataset: a `tf.data.Dataset` of batches, for which `can_split` holds.
        least: the number of samples that every batch should have.

    Returns:
        A `tf.data.Dataset` of the same batches, but for the sizes of small ones and their lenders.
    """
    spec = dataset.element_spec
    nothing = tf.nest.map_structure(
        lambda part: tf.zeros([0, *(size or 0 for size in part.shape[1:])], part.dtype), spec
    )
    ended = tf.data.Dataset.from_tensors((nothing, True))

    def with_flag(*batch):
        return tf.nest.pack_sequence_as(spec, tf.nest.flatten(batch)), False

    def give_held_batch(held, element):
        batch, end = element
        rows = batch_rows(held)
        lack = tf.where(end, 0, tf.maximum(least - batch_rows(batch), 0))
        kept = rows - tf.minimum(lack, tf.maximum(rows - least, 0))
        received = tf.nest.map_structure(
            lambda mine, theirs: tf.cond(
                kept < rows, lambda: tf.concat([mine[kept:], theirs], 0), lambda: theirs
            ),
            held,
            batch,
        )
        return received, tf.nest.map_structure(lambda part: part[:kept], held)

    batches = dataset.map(with_flag).concatenate(ended).scan(nothing, give_held_batch)
    return batches.filter(lambda *batch: batch_rows(batch) > 0)
