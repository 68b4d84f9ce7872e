"""MirroredStrategy under which batches of any size are right, through public methods only."""

import tensorflow as tf

from kvision.training.splitting import (
    batch_rows,
    can_split,
    input_options,
    split_batches,
    splits_evenly,
)
from kvision.training.steps import (
    counted_once,
    is_predict_step,
    keras_model,
    with_equal_statistics,
)


class EvenMirroredStrategy(tf.distribute.MirroredStrategy):
    """`tf.distribute.MirroredStrategy` with equal shares and equal replicas.

    Under the plain strategy a last batch can leave a replica without samples. With oneDNN (the
    default on CPU) a convolution of no samples returns its input's shape and the step crashes;
    without, batch norm's moving statistics silently become NaN. Here

    - every batch is cut into shares that differ by one sample at most;
    - a batch with fewer samples than replicas is given whole to every replica and counted once, so
      that `fit`, `evaluate` and `predict` take any number of samples;
    - replicas share one set of batch-norm moving statistics, so the model that is saved is the
      model that was evaluated.

    `evaluate` and `predict` give one device's numbers. In `fit`, as everywhere in Keras, a step
    follows the mean of the replicas' mean losses: where a batch of `n` samples does not divide by
    `k` replicas, samples of the smaller shares weigh `1 / (k * floor(n / k))` instead of `1 / n`.
    A batch size that is a multiple of the replicas, with `drop_remainder=True`, avoids that.

    On CPU devices it sums on one of them, since the collectives that TensorFlow would choose fail
    once a process has trained two models under two strategies.

    Python generators cannot be rewound, so Keras loses their first batch to a look at its shapes:
    pass arrays or a `tf.data.Dataset`. Custom loops that call `run` with functions of their own get
    plain `tf.distribute` behaviour, but for the equal shares.
    """

    def __init__(self, devices):
        self.on_cpu = any("CPU" in device for device in devices)
        super().__init__(devices, tf.distribute.ReductionToOneDevice() if self.on_cpu else None)

    def experimental_distribute_dataset(self, dataset, options=None):
        """Distributes batches in equal shares. Arguments as in `tf.distribute.Strategy`."""
        replicas = self.num_replicas_in_sync
        options = input_options(options, self.extended.worker_devices)
        spec = dataset.element_spec
        if replicas == 1 or not can_split(spec) or splits_evenly(spec, replicas):
            return super().experimental_distribute_dataset(dataset, options)
        return self.distribute_datasets_from_function(
            lambda context: split_batches(dataset, replicas), options
        )

    def run(self, fn, args=(), kwargs=None, options=None):
        """Runs `fn` on every replica. Arguments as in `tf.distribute.Strategy`."""
        model = keras_model(fn)
        is_step = model is not None or is_predict_step(fn)
        if self.num_replicas_in_sync == 1 or not is_step or len(args) != 1 or kwargs:
            return super().run(fn, args, kwargs, options)
        if self.on_cpu and model is not None and model.jit_compile:
            raise ValueError(
                "`jit_compile` must be False on several CPU devices: XLA cannot reach the second's "
                "variables. Received: jit_compile=True. Leave it out of `compile`."
            )
        step = with_equal_statistics(fn, model)
        shares = self.experimental_local_results(args[0])
        if not _may_be_empty(shares):
            return super().run(step, args, kwargs, options)
        sizes = tf.stack([batch_rows(share) for share in shares])
        few = tf.reduce_any(tf.equal(sizes, 0))
        whole = tf.nest.map_structure(lambda *parts: _joined(parts, few), *shares)

        def guarded_step(batch, few, whole):
            return counted_once(step, model, batch, few, whole)

        return super().run(guarded_step, (args[0], few, whole), None, options)

    def reduce(self, reduce_op, value, axis):
        """Reduces `value` across replicas. Arguments as in `tf.distribute.Strategy`.

        Keras takes the mean of a first batch to learn its shapes. Shares of different sizes, and
        what is no number, have no mean: the first replica's share stands for them.
        """
        shares = self.experimental_local_results(value)
        if axis is None and not _can_be_summed(shares):
            return shares[0]
        return super().reduce(reduce_op, value, axis)


def _may_be_empty(shares):
    """Whether these are dense shares of which one may hold no samples."""
    tensors = [part for share in shares for part in tf.nest.flatten(share) if part is not None]
    if not tensors or not all(tf.is_tensor(part) and part.shape.rank for part in tensors):
        return False
    return any(part.shape[0] in (None, 0) for part in tensors)


def _joined(parts, few):
    """The whole batch if it holds few samples, else no rows of it."""
    if parts[0] is None:
        return None
    return tf.concat([part[: tf.where(few, tf.shape(part)[0], 0)] for part in parts], 0)


def _can_be_summed(shares):
    first, *others = [tf.nest.flatten(share) for share in shares]
    if any(tf.is_tensor(part) and part.dtype in (tf.bool, tf.string) for part in first):
        return False
    return all(
        mine.shape == theirs.shape
        for other in others
        for mine, theirs in zip(first, other, strict=True)
        if tf.is_tensor(mine) and tf.is_tensor(theirs)
    )
