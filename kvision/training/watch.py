"""What to notice while training: a loss that is no number, overfitting, and the time."""

import math
import time
import warnings

import keras


class StopOnNaN(keras.callbacks.Callback):
    """Stops training when the loss or a weight is NaN or infinite, and says what to do.

    `diverged` is true from then on, so that nothing of it is saved.
    """

    def __init__(self):
        super().__init__()
        self.diverged = False
        self._epoch = 0

    def on_train_begin(self, logs=None):
        self.diverged = False

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            self._stop(f"the loss is {loss} after batch {batch + 1}")

    def on_epoch_end(self, epoch, logs=None):
        for name, value in (logs or {}).items():
            if name.endswith("loss") and not math.isfinite(value):
                return self._stop(f"{name} is {value}")
        for weight in self.model.weights:
            if not bool(keras.ops.all(keras.ops.isfinite(weight))):
                return self._stop(f"the weight {weight.path} is no longer finite")
        return None

    def _stop(self, reason):
        if self.diverged:
            return
        self.diverged = True
        self.model.stop_training = True
        rate = getattr(self.model.optimizer, "learning_rate", None)
        rate = "" if rate is None else f" than {float(keras.ops.convert_to_numpy(rate)):g}"
        print(
            f"\nTraining stopped in epoch {self._epoch + 1}: {reason}. Nothing of this epoch is "
            "saved. What helps:\n"
            f"  - a lower learning rate{rate}, or clipped gradients (clipnorm=1.0 in the "
            "optimizer);\n"
            f"  - labels from 0 to {self._last_class()}, images without NaN;\n"
            "  - a loss whose from_logits says what the model returns.\n"
            "The same command resumes from the last good epoch, with the new learning rate; with "
            "`resume=False` it starts anew.",
            flush=True,
        )

    def _last_class(self):
        shape = self.model.output_shape
        classes = shape[-1] if isinstance(shape, tuple) else getattr(self.model, "classes", None)
        return "the number of classes less one" if classes is None else classes - 1


class OverfittingWarning(keras.callbacks.Callback):
    """Warns once when validation gets worse while training improves.

    That is: for `epochs` epochs in a row `val_loss` has been above its best, the last by 5 % or
    more, while `loss` fell.

    Args:
        epochs: epochs in a row that must agree.
    """

    def __init__(self, epochs=3):
        super().__init__()
        self.epochs = epochs
        self._seen = {}

    def on_train_begin(self, logs=None):
        self._seen = {"best": None, "worse": 0, "warned": False}

    def on_epoch_end(self, epoch, logs=None):
        seen = self._seen
        loss, val_loss = (logs or {}).get("loss"), (logs or {}).get("val_loss")
        if seen["warned"] or loss is None or val_loss is None:
            return
        if seen["best"] is None or val_loss < seen["best"]["val_loss"]:
            seen["best"] = {"epoch": epoch, "loss": loss, "val_loss": val_loss}
            seen["worse"] = 0
            return
        best = seen["best"]
        seen["worse"] += 1
        if seen["worse"] >= self.epochs and val_loss > 1.05 * best["val_loss"]:
            if loss >= best["loss"]:
                return
            seen["warned"] = True
            warnings.warn(
                f"Overfitting: from epoch {best['epoch'] + 1} to epoch {epoch + 1} the training "
                f"loss fell from {best['loss']:.4g} to {loss:.4g} while the validation loss rose "
                f"from {best['val_loss']:.4g} to {val_loss:.4g}. More or augmented data, stronger "
                "regularisation, a smaller model or early stopping (patience=) help. model.keras "
                "keeps the best epoch.",
                stacklevel=2,
            )

    def state(self):
        """What a resumed run must know, ready for JSON."""
        return self._seen

    def restore(self, state):
        """Goes on from what `state` returned."""
        self._seen = state


class Seconds(keras.callbacks.Callback):
    """Adds to what `fit` reports of an epoch how long it took.

    Pass it before `kv.training.callbacks`, for a column of `history.csv`.

    Example:

    ```python
    run = [kv.training.Seconds(), *kv.training.callbacks("saved_models/timed")]
    ```
    """

    def __init__(self):
        super().__init__()
        self._begun = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._begun = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["seconds"] = time.monotonic() - self._begun
