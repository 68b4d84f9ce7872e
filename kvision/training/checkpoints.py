"""Best model, history and backup of a run, safe against a kill at any moment."""

import contextlib
import hashlib
import json
import tempfile
from pathlib import Path

import keras

from kvision.training import run_folder
from kvision.training.hosts import gathered, is_chief


class Checkpoints(keras.callbacks.Callback):
    """Writes a run folder after every epoch, and resumes from it.

    What a killed run goes on from is written first and named last, in one step: weights, optimizer,
    random states, history, best value and patience. `model.keras` and `history.csv` follow from it,
    so they never disagree with it. It must be the last of the callbacks.

    With several hosts the first one writes, and `run_dir` must be a folder that all of them see:
    on resuming, every host reads what the first one wrote, and they stop if they disagree.

    Args:
        run_dir: path of the run's folder.
        watcher: a `StopOnNaN`, whose verdict keeps bad weights out of the folder.
        best: a `BestEpoch`, which says when to write `model.keras`.
        overfitting: an `OverfittingWarning`.
        resume: whether to go on from a backup. If false, an earlier run is overwritten.
        restore_best: whether the model gets the best epoch's weights when training ends.
    """

    def __init__(self, run_dir, *, watcher, best, overfitting, resume=True, restore_best=False):
        super().__init__()
        self.run_dir = Path(run_dir)
        self.watcher = watcher
        self.parts = {"best": best, "overfitting": overfitting}
        self.resume = resume
        self.restore_best = restore_best
        self._rows = []
        self._resumed = False
        self._has_best = False
        self._learning_rate = None

    def on_train_begin(self, logs=None):
        self._rows, self._has_best = [], False
        self._learning_rate = _fixed_learning_rate(getattr(self.model, "optimizer", None))
        if self.resume:
            check_unfinished(self.run_dir)
        elif is_chief():
            run_folder.remove_run(self.run_dir)
        backup = run_folder.latest_backup(self.run_dir) if self.resume else None
        epochs = 0 if backup is None else run_folder.read_state(backup)["epochs"]
        found = gathered(self.model.distribute_strategy, epochs)
        if len(set(found)) > 1:
            raise ValueError(
                "With several hosts, `run_dir` must be a folder that all of them share. Received: "
                f"run_dir={str(self.run_dir)!r}, in which the replicas find backups after "
                f"{found} epochs. Use a network folder, or copy the first host's to the others."
            )
        self._resumed = backup is not None
        if self._resumed:
            self._restore(backup)

    def on_epoch_end(self, epoch, logs=None):
        if self.watcher.diverged:
            return
        self._rows.append({"epoch": epoch, **{name: float(logs[name]) for name in logs or {}}})
        state = {
            "epochs": epoch + 1,
            "rows": self._rows,
            "model": _fingerprint(self.model),
            "learning_rate": self._learning_rate,
            "random_states": [keras.ops.convert_to_numpy(v).tolist() for v in _random(self.model)],
            **{name: part.state() for name, part in self.parts.items()},
        }
        with self._folder_to_write() as folder:
            backup = _keras_backup(folder, self.model)
            backup.on_epoch_end(epoch)
            if self.parts["best"].improved:
                self.model.save(folder / "model.keras")
                self._has_best = True
            if is_chief():
                final = run_folder.commit_backup(folder, state)
                run_folder.publish(self.run_dir, final, self._rows)

    def on_train_end(self, logs=None):
        strategy = self.model.distribute_strategy
        gathered(strategy, len(self._rows))
        if self._has_best and (self.restore_best or self.watcher.diverged):
            self.model.load_weights(self.run_dir / "model.keras")
        if self._resumed:
            self._forget_first_epoch()
        gathered(strategy, len(self._rows))
        if is_chief() and not self.watcher.diverged:
            run_folder.finish(self.run_dir)

    def _restore(self, backup):
        state = run_folder.read_state(backup)
        if state["model"] != _fingerprint(self.model):
            raise ValueError(
                f"The run in {str(self.run_dir)!r} was made by another model: layers, weights, "
                "what is trainable or the optimizer differ. Build and compile the model as before "
                "to resume it, or pass another `run_dir`, or `resume=False` to overwrite the run."
            )
        _keras_backup(backup, self.model).on_train_begin()
        for variable, value in zip(_random(self.model), state["random_states"], strict=True):
            variable.assign(value)
        if self._learning_rate not in (None, state["learning_rate"]):
            self.model.optimizer.learning_rate = self._learning_rate
        for name, part in self.parts.items():
            part.restore(state[name])
        self._rows, self._has_best = state["rows"], state["best"]["best"] is not None
        if is_chief():
            run_folder.publish(self.run_dir, backup, self._rows)

    def _folder_to_write(self):
        """Where to save. All hosts save, as reading some variables takes all of them."""
        if is_chief():
            return contextlib.nullcontext(run_folder.new_backup(self.run_dir))
        return _temporary_folder()

    def _forget_first_epoch(self):
        """Lets a later `fit` of this model begin at its own first epoch again."""
        with _temporary_folder() as folder:
            _keras_backup(folder, self.model).on_epoch_end(-1)
            _keras_backup(folder, self.model).on_train_begin()


def check_unfinished(run_dir):
    """Refuses a folder whose run has ended."""
    if run_folder.is_finished(run_dir):
        epochs = run_folder.completed_epochs(run_dir)
        raise ValueError(
            f"`run_dir` holds a finished run of {epochs} epochs. Received: "
            f"run_dir={str(run_dir)!r}. Load its model.keras, or pass another folder to train "
            "anew, or `resume=False` to overwrite it."
        )


@contextlib.contextmanager
def _temporary_folder():
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _keras_backup(folder, model):
    """Keras's own callback, which saves and loads weights, optimizer state and epoch."""
    backup = keras.callbacks.BackupAndRestore(str(folder), delete_checkpoint=False)
    backup.set_model(model)
    return backup


def _fixed_learning_rate(optimizer):
    """The learning rate that `compile` was given, or None if it is a schedule."""
    if optimizer is None:
        return None
    config = optimizer.get_config()
    config = config.get("inner_optimizer", {}).get("config", config)
    rate = config.get("learning_rate")
    return float(rate) if isinstance(rate, (int, float)) else None


def _random(model):
    """The states of a model's random layers, which Keras does not save with its weights."""
    known = {id(v) for v in (*model.weights, *model.metrics_variables)}
    return [variable for variable in model.variables if id(variable) not in known]


def _fingerprint(model):
    """A short text that differs when the weights of another model would not fit this one."""
    layers = [
        [type(layer).__name__, [[*weight.shape] for weight in layer.weights]]
        for layer in model.layers
    ]
    trainable = [weight.trainable for weight in model.weights]
    text = json.dumps([layers, trainable, type(getattr(model, "optimizer", None)).__name__])
    return hashlib.sha256(text.encode()).hexdigest()
