"""The training side of a run folder: what is in it, and how far a run has come.

    run_dir/model.keras          the best epoch so far
    run_dir/history.csv          one row an epoch
    run_dir/backup/epoch-00003/  everything a resume needs; gone when training ends

A backup gets its final name when it is complete, and `history.csv` is written after it. So a folder
with a history but without a backup holds a finished run.
"""

import csv
import json
import os
import shutil
from pathlib import Path


def completed_epochs(run_dir):
    """The number of epochs that a run has behind it: the epoch at which `fit` resumes.

    Use it to start the data at the same epoch, so that a resumed run sees what an undisturbed one
    would have seen.

    Args:
        run_dir: path of the run's folder, which need not exist.

    Returns:
        An integer; 0 for a new run. For a finished run, the number of its epochs.

    Example:

    ```python
    first_epoch = kv.training.completed_epochs("saved_models/digits")
    ```
    """
    backup = latest_backup(run_dir)
    if backup is not None:
        return read_state(backup)["epochs"]
    history = Path(run_dir) / "history.csv"
    if not history.exists():
        return 0
    with open(history, newline="", encoding="utf-8") as file:
        return sum(1 for _ in csv.DictReader(file))


def is_finished(run_dir):
    """Whether `run_dir` holds a run whose training came to its end.

    Args:
        run_dir: path of the run's folder, which need not exist.

    Returns:
        A bool: false for a new run and for one that was killed and can be resumed.

    Example:

    ```python
    if not kv.training.is_finished("saved_models/digits"):
        print("to be trained")
    ```
    """
    return (Path(run_dir) / "history.csv").exists() and latest_backup(run_dir) is None


def latest_backup(run_dir):
    """The folder of the newest complete backup, or None."""
    return max(Path(run_dir).glob("backup/epoch-*"), default=None)


def read_state(backup):
    """What `commit_backup` was given with a backup."""
    return json.loads((backup / "state.json").read_text(encoding="utf-8"))


def new_backup(run_dir):
    """An empty folder in which to write the next backup."""
    partial = Path(run_dir) / "backup" / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    return partial


def commit_backup(partial, state):
    """Gives a backup its final name in one step, and removes those before it."""
    (partial / "state.json").write_text(json.dumps(state), encoding="utf-8")
    final = partial.with_name(f"epoch-{state['epochs']:05d}")
    os.replace(partial, final)
    for older in final.parent.iterdir():
        if older != final:
            shutil.rmtree(older)
    return final


def publish(run_dir, backup, rows):
    """Brings `model.keras` and `history.csv` up to a complete backup.

    Safe to repeat: a run that was killed before or in it does it on resuming.
    """
    model = backup / "model.keras"
    if model.exists():
        os.replace(model, Path(run_dir) / "model.keras")
    names = list(dict.fromkeys(name for row in rows for name in row))
    partial = backup / "history.csv"
    with open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    os.replace(partial, Path(run_dir) / "history.csv")


def remove_run(run_dir):
    """Forgets a run, to start anew: its backup, then its history. `model.keras` stays for now."""
    finish(run_dir)
    (Path(run_dir) / "history.csv").unlink(missing_ok=True)


def finish(run_dir):
    """Removes the backups, which makes the run finished, all at once even if killed meanwhile."""
    backup = Path(run_dir) / "backup"
    if backup.exists():
        removed = backup.with_name("backup-removed")
        shutil.rmtree(removed, ignore_errors=True)
        os.replace(backup, removed)
        shutil.rmtree(removed)
