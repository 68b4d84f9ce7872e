"""What all detectors have in common: the structure of their outputs, and losses seen one by one."""

import functools
import itertools
import math

import keras
import numpy as np
from keras import ops

DETECTIONS = ("boxes", "classes", "scores", "masks")
_LOOKED_THROUGH = 1000  # batches of a data set, which may have no end


class Detector(keras.Model):
    """A functional network from pictures to objects, which knows what to compare them with.

    It is compiled and fitted as any model, with the optimizer alone, because its losses belong to
    it: `model.compile("adam")`, then `model.fit(batches)` with batches of `(images, truth)` as
    `kv.data.batches(..., target="objects")` gives them.

    Called, it returns `boxes` `(batch, most, 4)`, `classes` and `scores` `(batch, most)`, some also
    `masks` `(batch, most, 28, 28)`, by falling score and padded with class -1; and `raw`, a dict of
    what the losses need. `predict` leaves `raw` out. Training or not, the structure is the same;
    what training does not need of it is not computed there.

    A class that the network does not know makes the loss NaN, so that it is seen, and `fit` and
    `evaluate` name it in an error.

    Subclasses say which losses there are in `loss_names`, compute them in `losses_of`, tell their
    number of `classes`, and pass their hyperparameters on to `get_config`.

    `keras.models.clone_model` is refused, because it would leave a network without losses:
    `type(model).from_config(model.get_config())` copies one.

    Args:
        inputs: a functional `keras.Model` with these outputs, the network.
        outputs: must be `None`.
        name: of the model, by default the network's.
        **kwargs: `trainable` and `dtype` of the model.

    Raises:
        ValueError: where it is given tensors.
    """

    loss_names = ()

    def __init__(self, inputs, outputs=None, name=None, **kwargs):
        # Named as Functional's arguments, so that `keras.models.clone_model` comes here with its
        # tensors. Elsewhere it would leave a plain network, which knows no losses, without a word.
        if outputs is not None:
            raise ValueError(
                f"A {type(self).__name__} must be built of a network, because tensors do not tell "
                "its losses. To copy one, in place of keras.models.clone_model, call "
                "`type(model).from_config(model.get_config())`."
            )
        network = inputs
        super().__init__(network.input, network.output, name=name or network.name, **kwargs)
        self.network = network
        self._parts = {name: keras.metrics.Mean(name=name) for name in self.loss_names}
        # Averages over the batch, and over the replicas of a strategy, as every loss of Keras does.
        self._average = _Average(name="average")

    @property
    def classes(self):
        """The number of classes that the network tells apart; `None` if it takes any."""
        return None

    def fit(
        self, x=None, y=None, batch_size=None, epochs=1, verbose="auto", callbacks=None, **kwargs
    ):
        """`keras.Model.fit`.

        Raises:
            ValueError: where objects have a class that the network does not know; of a data set at
                the end of the epoch, before other callbacks keep what it made of the weights.
        """
        self._check_classes([(x, y)])
        explain = functools.cache(lambda: self._explain(x, y))  # one look is enough
        watch = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda _, logs: explain() if _has_nan(logs) else None
        )
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks = [watch, *keras.tree.flatten(callbacks or [])]
        history = super().fit(x, y, batch_size, epochs, verbose, callbacks, **kwargs)
        if _has_nan(history.history):
            explain()
        return history

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """`keras.Model.evaluate`. Raises as `fit` does."""
        self._check_classes([(x, y)])
        values = super().evaluate(x, y, *args, **kwargs)
        if _has_nan(values):
            self._explain(x, y)
        return values

    def _explain(self, x, y):
        """Looks through a data set, whose loss is NaN, for a class that is not known."""
        if y is not None:
            return
        if isinstance(x, keras.utils.PyDataset):
            x = map(x.__getitem__, range(len(x)))
        self._check_classes(itertools.islice(x, _LOOKED_THROUGH))

    def _check_classes(self, batches):
        for _, truth, *_ in batches:
            if self.classes is None or not isinstance(truth, dict) or "classes" not in truth:
                continue
            found = ops.convert_to_numpy(truth["classes"]).ravel()
            unknown = found[(found >= self.classes) | (found < -1)]
            if unknown.size:
                raise ValueError(
                    f"Objects must have classes from 0 to {self.classes - 1} in `{self.name}`, "
                    f"which was built with classes={self.classes}, or -1 where they are padding. "
                    f"Received: class {int(unknown[0])}. Build it with as many classes as the data "
                    "has, or label the objects anew."
                )

    def losses_of(self, truth, outputs):
        """The losses of each picture.

        Args:
            truth: a dict of `boxes` (batch, n, 4), `classes` (batch, n), -1 where padded, `crowd`
                and `difficult` (batch, n), and `masks` (batch, n, height, width) where it has them.
            outputs: what the model returned.

        Returns:
            A dict from each of `loss_names` to a tensor (batch,).
        """
        raise NotImplementedError(f"{type(self).__name__} must define `losses_of`.")

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The sum of the losses, averaged over the pictures, and of the regularizers'.

        Raises:
            ValueError: where `y` is no truth.
        """
        if not isinstance(y, dict) or not {"boxes", "classes"} <= set(y):
            raise ValueError(
                f"`{self.name}` must be fitted with batches of (images, truth), where truth is a "
                "dict with 'boxes' and 'classes', as from "
                f"kv.data.batches(..., target='objects'). Received: {y!r}"
            )
        truth, unknown = self._known(y)
        parts = {
            name: ops.where(unknown, math.nan, values)
            for name, values in self.losses_of(truth, y_pred).items()
        }
        for name, values in parts.items():
            self._parts[name].update_state(values, sample_weight)
        total = self._average(values, sum(parts.values()), sample_weight)
        for penalty in self.losses:
            total += self._average(ops.ones(1), ops.reshape(penalty, (1,)))
        return total

    def _known(self, truth):
        """The truth with objects of known classes alone, and which pictures have others."""
        classes = ops.cast(truth["classes"], "int32")
        if self.classes is None:
            return truth, ops.zeros_like(classes[:, 0], "bool")
        unknown = (classes >= self.classes) | (classes < -1)
        return {**truth, "classes": ops.where(unknown, -1, classes)}, ops.any(unknown, axis=-1)

    def predict_step(self, *args):
        """The objects of a batch, without `raw`; on JAX, which hands over a state, with that."""
        *state, data = args
        if not state:
            return _found(super().predict_step(data))
        outputs, state = super().predict_step(*state, data)
        return _found(outputs), state

    def get_config(self):
        config = super(keras.Model, self).get_config()
        return {
            "name": config["name"],
            "trainable": config["trainable"],
            "dtype": config["dtype"],
            "network": keras.saving.serialize_keras_object(self.network),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        network = keras.saving.deserialize_keras_object(config["network"], custom_objects)
        return cls(network, **{key: value for key, value in config.items() if key != "network"})


def _has_nan(values):
    return bool(np.isnan(keras.tree.flatten(values)).any())


def _found(outputs):
    return {key: outputs[key] for key in DETECTIONS if key in outputs}


class _Average(keras.losses.Loss):
    """The mean of losses that were computed elsewhere."""

    def call(self, y_true, y_pred):
        return y_pred
