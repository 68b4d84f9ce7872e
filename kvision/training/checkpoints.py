"""Best model, history and backup of a run, safe against a kill at any moment."""

import contextlib
import hashlib
import json
import sys
import tempfile
from pathlib import Path

import keras

from kvision.files.writing import link
from kvision.training import run_folder
from kvision.training.backups import Backup, latest_backup, new_backup, remove_older
from kvision.training.hosts import gathered, is_chief
from kvision.training.remembering import Memory, callbacks_before


class Checkpoints(keras.callbacks.Callback):
    """Writes a run folder after every epoch, and resumes from it.

    What a killed run goes on from is written first and named last, in one step: weights, optimizer,
    random states, history, best value and patience, and what the callbacks before this one
    remember. `model.keras` and `history.csv` follow from it, so they never disagree with it. It
    must be the last of the callbacks.

    With several hosts the first one writes, and `run_dir` must be a folder that all of them see:
    on resuming, every host reads what the first one wrote, and they stop if they disagree.

    Args:
        run_dir: path of the run's folder.
        watcher: a `StopOnNaN`, whose verdict keeps bad weights out of the folder.
        best: a `BestEpoch`, which says when to write `model.keras`.
        overfitting: an `OverfittingWarning`.
        resume: whether to go on from a backup. If false, an earlier run is overwritten.
        restore_best: whether the model gets the best epoch's weights when training ends.
        about: what the run is of, ready for JSON.
        command: the command that trains it.
    """

    def __init__(
        self,
        run_dir,
        *,
        watcher,
        best,
        overfitting,
        resume=True,
        restore_best=False,
        about=None,
        command="",
    ):
        super().__init__()
        self.run_dir = Path(run_dir)
        self.watcher = watcher
        self.parts = {"best": best, "overfitting": overfitting}
        self.resume = resume
        self.restore_best = restore_best
        self.about = about or {}
        self.command = command
        self._rows = []
        self._backup = Backup()
        self._resumed = False
        self._has_best = False
        self._learning_rate = None
        self._memory = Memory([])

    def on_train_begin(self, logs=None):
        self._rows, self._has_best = [], False
        self._learning_rate = _fixed_learning_rate(getattr(self.model, "optimizer", None))
        own = (self.watcher, *self.parts.values())
        self._memory = Memory([each for each in callbacks_before(self) if each not in own])
        if is_chief():
            run_folder.lock(self.run_dir)
        try:
            self._begin()
        except BaseException:
            run_folder.unlock(self.run_dir)
            raise

    def _begin(self):
        if self.resume:
            check_unfinished(self.run_dir)
        self._backup = backup = latest_backup(self.run_dir) if self.resume else Backup()
        found = gathered(self.model.distribute_strategy, backup.epochs)
        if len(set(found)) > 1:
            raise ValueError(
                "With several hosts, `run_dir` must be a folder that all of them share. Received: "
                f"run_dir={str(self.run_dir)!r}, in which the replicas find backups after "
                f"{found} epochs. Use a network folder, or copy the first host's to the others."
            )
        self._resumed = backup.epochs > 0
        if self._resumed:
            self._restore(backup)
        if is_chief():
            if backup.reasons:
                go_on = f"after epoch {backup.epochs}" if self._resumed else "from the beginning"
                print(f"{backup.reasons[0].rstrip('.')}: going on {go_on}.", flush=True)
            run_folder.begin(self.run_dir, self.about, self.command, backup)
            if self._resumed:
                run_folder.publish(self.run_dir, backup.folder, self._rows)

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
        with self._folder_to_write(state) as folder:
            # A run that has been stopped has no epoch to go on with.
            last = sys.maxsize - 1 if self.model.stop_training else epoch
            _keras_backup(folder, self.model).on_epoch_end(last)
            if self.parts["best"].improved:
                self.model.save(folder / "model.keras")
                self._has_best = True
            elif self._has_best and is_chief():
                link(self._best_file(), folder / "model.keras")
            state["callbacks"] = self._memory.save(folder)
        if is_chief():
            self._backup = latest_backup(self.run_dir)
            if self._backup.epochs != epoch + 1:
                raise OSError(f"{self._backup.reasons[0]} as soon as it was written.")
            run_folder.publish(self.run_dir, self._backup.folder, self._rows)
            remove_older(self.run_dir)

    def on_train_end(self, logs=None):
        strategy = self.model.distribute_strategy
        if is_chief() and self._rows:
            run_folder.check_there(self.run_dir)
            run_folder.publish(self.run_dir, self._backup.folder, self._rows)
        gathered(strategy, len(self._rows))
        if self._has_best and (self.restore_best or self.watcher.diverged):
            self.model.load_weights(self.run_dir / "model.keras")
        if self._resumed:
            self._forget_first_epoch()
        gathered(strategy, len(self._rows))
        if is_chief():
            if not self.watcher.diverged:
                run_folder.finish(self.run_dir)
            run_folder.unlock(self.run_dir)

    def _restore(self, backup):
        state = backup.state
        if state["model"] != _fingerprint(self.model):
            raise ValueError(
                f"The run in {str(self.run_dir)!r} was made by another model: layers, weights, "
                "what is trainable or the optimizer differ. Build and compile the model as before "
                "to resume it, or pass another `run_dir`, or `resume=False` to overwrite the run."
            )
        _keras_backup(backup.folder, self.model).on_train_begin()
        for variable, value in zip(_random(self.model), state["random_states"], strict=True):
            variable.assign(value)
        if self._learning_rate not in (None, state["learning_rate"]):
            self.model.optimizer.learning_rate = self._learning_rate
        for name, part in self.parts.items():
            part.restore(state[name])
        self._memory.restore(backup.folder, state["callbacks"])
        self._rows, self._has_best = state["rows"], state["best"]["best"] is not None

    def _folder_to_write(self, state):
        """Where to save. All hosts save, as reading some variables takes all of them."""
        if not is_chief():
            return _temporary_folder()
        run_folder.check_there(self.run_dir)
        return new_backup(self.run_dir, state)

    def _best_file(self):
        """The best epoch of those before, as the backup before has it."""
        if self._backup.folder and (self._backup.folder / "model.keras").exists():
            return self._backup.folder / "model.keras"
        return self.run_dir / "model.keras"

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
