"""MultiWorkerMirroredStrategy that Keras's `fit` can use, through public methods only.

Keras 3.15 calls the strategy's `reduce` in two ways that tf.distribute refuses with several
workers (https://github.com/keras-team/keras/issues/20585): with a nested structure, to learn the
shapes of a first batch, and along axis 0 of scalars, to average what a step returned.
"""

import tensorflow as tf

from kvision.training.splitting import (
    batch_rows,
    can_split,
    input_options,
    lend_samples,
    split_batches,
)
from kvision.training.steps import keras_model, with_equal_statistics


class EvenMultiWorkerStrategy(tf.distribute.MultiWorkerMirroredStrategy):
    """`tf.distribute.MultiWorkerMirroredStrategy` for Keras 3.

    Every host runs the same script on the same data, in the same order (set the same seed), and
    gets its rows of each global batch. What a step learns is shared: weights, metrics and
    batch-norm moving statistics are equal on all hosts after every step.

    Every replica needs a sample of each batch. A last batch of fewer samples gets some of the batch
    before it; where that cannot help, because the batch size is smaller than twice the replicas or
    the whole data set smaller than the replicas, reading the data stops with an error.

    A dataset whose `auto_shard_policy` was set to `FILE` or `OFF` is left to tf.distribute: there
    every host brings data of its own.
    """

    def experimental_distribute_dataset(self, dataset, options=None):
        """Distributes batches in equal shares. Arguments as in `tf.distribute.Strategy`."""
        options = input_options(options, self.extended.worker_devices)
        policy = dataset.options().experimental_distribute.auto_shard_policy
        policies = tf.data.experimental.AutoShardPolicy
        if policy not in (policies.AUTO, policies.DATA) or not can_split(dataset.element_spec):
            return super().experimental_distribute_dataset(dataset, options)
        replicas = self.num_replicas_in_sync

        def local_shares(context):
            count = replicas // context.num_input_pipelines
            first = context.input_pipeline_id * count
            batches = checked_batches(lend_samples(dataset, replicas), replicas)
            return split_batches(batches, replicas, first=first, count=count)

        return self.distribute_datasets_from_function(local_shares, options)

    def run(self, fn, args=(), kwargs=None, options=None):
        """Runs `fn` on every replica. Arguments as in `tf.distribute.Strategy`."""
        return super().run(with_equal_statistics(fn, keras_model(fn)), args, kwargs, options)

    def reduce(self, reduce_op, value, axis):
        """Reduces `value` across replicas. Arguments as in `tf.distribute.Strategy`.

        Of a structure every part is reduced, scalars whatever `axis`. Batches have no mean: a
        part with a batch axis is answered with this host's first share.
        """
        if tf.nest.is_nested(value):
            return tf.nest.map_structure(lambda part: self.reduce(reduce_op, part, axis), value)
        local = self.experimental_local_results(value)[0]
        if not tf.is_tensor(local):
            return local
        if axis is None and local.shape.rank and reduce_op in ("MEAN", tf.distribute.ReduceOp.MEAN):
            return local
        if axis is not None and local.shape.rank == 0:
            axis = None
        if local.dtype.is_integer and reduce_op in ("MEAN", tf.distribute.ReduceOp.MEAN):
            return local
        return super().reduce(reduce_op, value, axis)


def checked_batches(dataset, replicas):
    """The dataset, which stops with a clear error at a batch that leaves a replica empty."""
    message = (
        f"A batch must hold at least one sample for each of the {replicas} replicas. Use a larger "
        "batch size or drop_remainder=True."
    )

    def check(*batch):
        check = tf.debugging.assert_greater_equal(batch_rows(batch), replicas, message)
        with tf.control_dependencies([check]):
            return tf.nest.map_structure(
                tf.identity, tf.nest.pack_sequence_as(dataset.element_spec, tf.nest.flatten(batch))
            )

    return dataset.map(check)
