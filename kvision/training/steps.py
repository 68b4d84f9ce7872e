"""What a replica does around one step of Keras's own loop, so that replicas agree.

Keras calls `strategy.run(step, args=(batch,))` for every batch of `fit`, `evaluate` and `predict`.
The functions here wrap such a step. They use what a step shows in public: a bound `train_step` or
`test_step` carries its model, the step of `predict` is a plain function of the keras package.
"""

import keras
import tensorflow as tf

from kvision.training.splitting import batch_rows


def keras_model(step):
    """The model whose `train_step` or `test_step` this is, or None."""
    owner = getattr(step, "__self__", None)
    return owner if isinstance(owner, keras.Model) else None


def is_predict_step(step):
    """Whether Keras calls this step for `predict`, whose outputs are rows of a batch."""
    module = getattr(step, "__module__", None) or ""
    return keras_model(step) is None and module.split(".")[0] == "keras"


def with_equal_statistics(step, model):
    """Makes the replicas leave a training step with equal batch-norm statistics.

    Keras lets every replica keep moving statistics of its own (their `aggregation` is "none") and
    saves the first replica's, so a saved model is not the model that was evaluated. Here every
    replica moves them by the mean of all replicas' moves, in one reduction.

    Args:
        step: a step as Keras runs it. One that does not train is returned as it is.
        model: the model it belongs to, or None.

    Raises:
        ValueError: if the model was compiled to run several training steps at a time.
    """
    if model is None or getattr(step, "__name__", "") == "test_step":
        return step
    if model.steps_per_execution > 1 and not model.run_eagerly:
        raise ValueError(
            "`steps_per_execution` must be 1 to train on several replicas: TensorFlow cannot run "
            "the optimizer inside Keras's loop there. "
            f"Received: steps_per_execution={model.steps_per_execution}. Leave it out of `compile`."
        )

    def synchronized_step(batch):
        statistics = _moving_statistics(model)
        before = [tf.identity(keras.ops.convert_to_tensor(weight)) for weight in statistics]
        logs = step(batch)
        if statistics:
            moves = [
                keras.ops.convert_to_tensor(weight) - value
                for weight, value in zip(statistics, before, strict=True)
            ]
            context = tf.distribute.get_replica_context()
            moves = context.all_reduce(tf.distribute.ReduceOp.MEAN, moves)
            for weight, value, move in zip(statistics, before, moves, strict=True):
                weight.assign(value + move)
        return logs

    return synchronized_step


def _moving_statistics(model):
    """The weights that a training step may move without a gradient, each once."""
    found = {}
    for layer in _trainable_layers(model):
        for weight in layer.non_trainable_weights:
            if weight.aggregation == "none" and keras.backend.is_float_dtype(weight.dtype):
                found[id(weight)] = weight
    return list(found.values())


def _trainable_layers(model):
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _trainable_layers(layer)
        elif layer.trainable:
            yield layer


def counted_once(step, model, batch, few, whole):
    """Runs a step in one replica when a batch may hold fewer samples than there are replicas.

    Such a batch is given whole to every replica: gradients and batch statistics are then exactly
    one device's. Only the first replica's rows and metrics count.

    Args:
        step: the step to run.
        model: the model whose metrics the step updates, or None for a predict step.
        batch: this replica's share.
        few: scalar bool tensor, whether a replica's share is empty.
        whole: the whole batch if `few`, else no rows.

    Returns:
        What the step returns, with the rows cut that another replica returns as well.
    """
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    keep = tf.where(few, 0, batch_rows(batch))
    batch = tf.nest.map_structure(
        lambda share, rows: share if share is None else tf.concat([share[:keep], rows], 0),
        batch,
        whole,
    )
    rows = batch_rows(batch)
    counts = tf.logical_or(tf.logical_not(few), tf.equal(replica, 0))
    if model is None:
        return _cut_rows(step(batch), rows, tf.where(counts, rows, 0))
    metrics = model.metrics_variables
    before = [tf.identity(keras.ops.convert_to_tensor(value)) for value in metrics]
    logs = step(batch)
    for metric, value in zip(metrics, before, strict=True):
        metric.assign(tf.where(counts, keras.ops.convert_to_tensor(metric), value))
    return logs


def _cut_rows(outputs, rows, keep):
    """Cuts what a predict step returned to its first `keep` rows."""

    def cut(output):
        if not tf.is_tensor(output) or output.shape.rank == 0:
            return output
        return output[: tf.where(tf.equal(tf.shape(output)[0], rows), keep, tf.shape(output)[0])]

    return tf.nest.map_structure(cut, outputs)
