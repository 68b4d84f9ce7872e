"""`callbacks`: what a training needs beside its data."""

import importlib.util
from pathlib import Path

import keras

from kvision.files.text import check_path
from kvision.files.writing import check_writable
from kvision.training.best import BestEpoch
from kvision.training.checkpoints import Checkpoints, check_unfinished
from kvision.training.hosts import is_chief
from kvision.training.run_folder import check_about, check_free
from kvision.training.sentences import InOneSentence
from kvision.training.watch import OverfittingWarning, StopOnNaN


def callbacks(
    run_dir,
    *,
    monitor=None,
    mode="auto",
    patience=None,
    resume=True,
    tensorboard=False,
    about=None,
    command="",
):
    """Callbacks for `fit` that leave a run in a folder and let it be killed and started again.

    They keep the best epoch in `run_dir/model.keras` and a row for each epoch in
    `run_dir/history.csv` (epochs count from 0, as in Keras), stop with advice when the loss is NaN,
    and warn once when validation gets worse while training improves. Run the same script again
    after a kill, and it goes on after its last full epoch: with the same weights, optimizer state,
    best value and patience, the history without gap or repetition. Progress is shown by `fit`
    itself, by its `verbose`. A backup that the disk has damaged is passed over for the one before.

    Callbacks that stand before these in the list of `fit` go on as well: what training changes in
    their attributes is kept, if it can be written down (numbers, texts, arrays, Keras variables,
    and lists, sets and dicts of them). So `SwapEMAWeights`, `ReduceLROnPlateau` and counters of
    your own end where they would have ended.

    One process at a time trains in a folder. A learning rate that was changed in `compile` since
    then takes effect on resuming. With several hosts all of them pass the same `run_dir`, in a
    folder that they share; the first one writes.

    Args:
        run_dir: path of the run's folder, made if it does not exist.
        monitor: the quantity by which epochs are compared, a name that `fit` reports
            (`"val_accuracy"`). Defaults to `"val_loss"` with validation data, `"loss"` without.
        mode: `"min"`, `"max"`, or `"auto"` for what suits the quantity.
        patience: the number of epochs without improvement, 1 or more, after which training stops.
            The model then has the best epoch's weights when `fit` returns. Defaults to `None`:
            no early stopping, and the last epoch's weights.
        resume: whether to go on where a killed run was. If false, an earlier run in the folder is
            overwritten.
        tensorboard: whether to write TensorBoard logs to `run_dir/tensorboard`.
        about: a dict, ready for JSON, of what the run is of and must stay: class names, input
            shape, `kv.data.fingerprint(info)`. A folder whose run was begun with something else is
            refused.
        command: the command that trains, for the model card.

    Returns:
        A list of Keras callbacks, for one `fit`. Put others before them, so that what those change
        is part of the backup: `callbacks=[other, *kv.training.callbacks(run_dir)]`.

    Raises:
        ValueError: if the folder holds a finished run, or one of something else, and `resume` is
            true, if another process works in it, or an argument is out of range. `fit` raises it if
            the folder holds a run of another model, or a label is beyond the model's classes.
        OSError: if the folder cannot be written to. `fit` raises it if the disk is full, and
            `FileNotFoundError` if the folder is deleted meanwhile.
        ImportError: if `tensorboard` is true and the package is not installed.

    Example:

    ```python
    import tempfile
    import keras
    import numpy as np

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    run = kv.training.callbacks(tempfile.mkdtemp(), patience=3)
    model.fit(np.zeros((8, 4)), np.zeros(8), epochs=2, callbacks=run, verbose=0)
    ```
    """
    run_dir = Path(run_dir)
    check_path(run_dir)
    if patience is not None and (not isinstance(patience, int) or patience < 1):
        raise ValueError(f"`patience` must be None or an integer >= 1. Received: {patience!r}")
    if mode not in ("auto", "min", "max"):
        raise ValueError(f"`mode` must be 'auto', 'min' or 'max'. Received: mode={mode!r}")
    if run_dir.exists() and not run_dir.is_dir():
        raise ValueError(
            f"`run_dir` must be a folder. Received the path of a file: {str(run_dir)!r}"
        )
    if resume:
        check_unfinished(run_dir)
        check_about(run_dir, about or {})
    if is_chief():
        check_writable(run_dir)
        check_free(run_dir)
    watcher, best, overfitting = (
        StopOnNaN(),
        BestEpoch(monitor, mode, patience),
        OverfittingWarning(),
    )
    chosen = [watcher, best, overfitting, InOneSentence()]
    if tensorboard:
        if importlib.util.find_spec("tensorboard") is None:
            raise ImportError(
                "`tensorboard=True` needs the package tensorboard. Install it with "
                "`pip install tensorboard`, or leave the argument out."
            )
        if is_chief():
            chosen.append(keras.callbacks.TensorBoard(str(run_dir / "tensorboard")))
    files = Checkpoints(
        run_dir,
        watcher=watcher,
        best=best,
        overfitting=overfitting,
        resume=resume,
        restore_best=patience is not None,
        about=about,
        command=command,
    )
    return [*chosen, files]
