"""Where a run stands: new, broken off or finished, and whether it is of what is asked for."""

import shlex
import sys
from pathlib import Path
from typing import NamedTuple

from kvision import data, training
from kvision.runs.trained import trained_model


class Begun(NamedTuple):
    """What `begin` returns.

    Attributes:
        folder: of the run.
        about: what the run is of.
        finished: whether its training came to its end, so that there is nothing to train.
        first_epoch: the epoch at which training goes on, for `kv.data.batches`.
        callbacks: for `fit`; none of a finished run.
    """

    folder: Path
    about: dict
    finished: bool
    first_epoch: int
    callbacks: list

    def settled(self, model):
        """Returns the model to train, or of a finished run the best epoch, to be released again.

        Args:
            model: the model that is asked for, built but not trained.

        Raises:
            ValueError: where the finished run is of another model or of something else.
        """
        if self.finished:
            print(f"{self.folder} is trained: exporting it. To train anew, pass another --run.")
            try:
                return trained_model(self.folder, model, self.about)
            except (ValueError, OSError) as error:
                raise ValueError(f"{error} To train anew, pass another --run.") from error
        if self.first_epoch:
            print(f"Going on after epoch {self.first_epoch}.")
        return model


def begin(run_dir, task, sets, input_shape, patience=None):
    """Begins a run, goes on with one that was killed, or finds one that is trained.

    Use it in a script that may be killed and started again, before the model is built. The
    command that is written down is the script's own.

    Args:
        run_dir: path of the run's folder.
        task: the name of a task.
        sets: what `kv.data.three_sets` returned.
        input_shape: (height, width, channels).
        patience: as `kv.training.callbacks` takes it.

    Returns:
        A `Begun`.

    Raises:
        ValueError: where the folder holds a run of something else, or another process works there.
        OSError: where it cannot be written to.

    Example:

    ```python
    sets = kv.data.three_sets("digits", "label")
    run = kv.runs.begin("saved_models/digits", "classification", sets, (32, 32, 1))
    model = run.settled(kv.models.LeNet5())
    ```
    """
    about = {"task": task, "classes": sets.class_names, "input_shape": input_shape}
    about |= {"splits": sets.splits, "data": data.fingerprint(sets.info)}
    finished = training.is_finished(run_dir)
    command = shlex.join(["python", *sys.argv])
    given = {"patience": patience, "about": about, "command": command}
    callbacks = [] if finished else training.callbacks(run_dir, **given)
    first_epoch = training.completed_epochs(run_dir)
    return Begun(Path(run_dir), about, finished, first_epoch, callbacks)
