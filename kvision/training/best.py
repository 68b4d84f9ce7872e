"""The best epoch so far, and when to stop looking for a better one."""

import math
import sys
import warnings

import keras


class BestEpoch(keras.callbacks.EarlyStopping):
    """`keras.callbacks.EarlyStopping` that says which epochs improve and survives a resume.

    Args:
        monitor: a name in the logs of an epoch. `None` is `"val_loss"` once there is validation,
            `"loss"` before.
        mode: `"min"`, `"max"`, or `"auto"`, which asks the metric of that name.
        patience: epochs without improvement after which training stops, or `None` for never.
    """

    def __init__(self, monitor=None, mode="auto", patience=None):
        patience = sys.maxsize if patience is None else patience
        super().__init__(monitor or "val_loss", mode=mode, patience=patience)
        self.follows_loss = monitor is None
        self.improved = False

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self.improved = False

    def on_epoch_end(self, epoch, logs=None):
        self.improved = False
        if not self._choose_monitor(logs) or not math.isfinite(logs[self.monitor]):
            return
        super().on_epoch_end(epoch, logs)
        self.improved = self.best_epoch == epoch

    def _choose_monitor(self, logs):
        """Whether this epoch has what is monitored."""
        if self.follows_loss:
            monitor = "val_loss" if "val_loss" in logs else "loss"
            if self.best is not None and self.monitor == "loss" != monitor:
                self.best, self.wait = None, 0
            if self.best is None:
                self.monitor = monitor
        if self.monitor in logs:
            return True
        validated = any(name.startswith("val_") for name in logs)
        if self.monitor.startswith("val_") and not validated:
            return False
        raise ValueError(
            f"`monitor` must be a quantity that `fit` reports. Received: monitor={self.monitor!r}; "
            f"an epoch of this model reports {', '.join(logs)}."
        )

    def on_train_end(self, logs=None):
        super().on_train_end(logs)
        if self.best is None and not self.follows_loss and logs:
            warnings.warn(
                f"model.keras was not written, because {self.monitor!r} never appeared: pass "
                "validation_data to `fit`, or monitor a quantity of training, such as 'loss'.",
                stacklevel=2,
            )

    def state(self):
        """What a resumed run must know, ready for JSON."""
        names = ("monitor", "best", "best_epoch", "wait", "stopped_epoch")
        state = {name: getattr(self, name) for name in names}
        return {**state, "best": None if self.best is None else float(self.best)}

    def restore(self, state):
        """Goes on from what `state` returned."""
        if state["monitor"] != self.monitor and not self.follows_loss:
            state = {**state, "best": None, "wait": 0, "monitor": self.monitor}
        for name, value in state.items():
            setattr(self, name, value)
