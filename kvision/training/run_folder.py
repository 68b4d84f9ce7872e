"""The training side of a run folder: what is in it, and how far a run has come.

    run_dir/run.json             what the run is of (classes, data), its command, who trains in it
    run_dir/backup/epoch-00003/  everything a resume needs; the newest two, gone when training ends
    run_dir/model.keras          the best epoch so far
    run_dir/history.csv          one row an epoch
    run_dir/card.json            what `kv.runs.release` proved, its last file

The life of a run, told by what is there:

    new       neither history nor backup: training begins at the first epoch
    training  a folder `backup`: training goes on after the newest backup that is whole
    trained   `history.csv` and no `backup`: nothing is trained again, `model.keras` is exported
    released  `card.json` as well: the same, once more

Each file and folder is written beside, brought to the disk and then renamed, so that it is there
as a whole or not at all. In an epoch the backup comes first, then `model.keras` and `history.csv`,
which are made of it; then the backups before the last two go. At the end of training the folder
`backup` goes, last and in one step. What a killed process left half-written (`.partial-*`) is
cleared by the next that trains or releases.

One process at a time writes here: it holds the lock of the folder, which ends with the process. Of
several hosts it is the first.
"""

import contextlib
import csv
import json
import os
import shutil
import socket
import time
from pathlib import Path

from kvision.files import locking
from kvision.files.reading import reading
from kvision.files.writing import clear_partial, link, sync, writing
from kvision.training.backups import backups_of, latest_backup

_LOCKS = {}  # those of this process, by folder: a `fit` that was broken off leaves its own


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
    if not is_finished(run_dir):
        return latest_backup(run_dir).epochs
    with open(Path(run_dir) / "history.csv", newline="", encoding="utf-8") as file:
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
    return (Path(run_dir) / "history.csv").exists() and not (Path(run_dir) / "backup").exists()


def check_about(run_dir, about):
    """Refuses a folder with a run of something else.

    Args:
        run_dir: path of the run's folder.
        about: dict of what the run is of. Compared is what `run.json` knows too.

    Raises:
        ValueError: if they differ.
    """
    if not (is_finished(run_dir) or backups_of(run_dir)):
        return
    known, about = read_run(run_dir).get("about", {}), json.loads(json.dumps(about))
    for name in known.keys() & about.keys():
        if known[name] != about[name]:
            raise ValueError(
                f"The run in {str(run_dir)!r} was begun with the {name} {_short(known[name])}. "
                f"Received: {_short(about[name])}. What it learned from and what it is tested on "
                "must stay apart and the same: give it what it had, or pass another folder."
            )


def read_run(run_dir):
    """What `run.json` says of a run; an empty dict where there is none."""
    path = Path(run_dir) / "run.json"
    if not path.exists():
        return {}
    with reading(path, "What the run is of,", "Delete the file to go on without it."):
        return dict(json.loads(path.read_text(encoding="utf-8")))


def begin(run_dir, about, command, backup):
    """Prepares a folder for training, whose lock this process holds.

    Args:
        run_dir: path of the run's folder.
        about: dict of what the run is of.
        command: the command that trains it.
        backup: the `Backup` to go on from; what is newer is damaged and goes. One of no epochs
            is a new run, and what is left of an earlier one goes.
    """
    for folder in (run_dir, run_dir / "backup"):
        clear_partial(folder)
    if not backup.epochs:
        for name in ("card.json", "history.csv"):
            (run_dir / name).unlink(missing_ok=True)
        finish(run_dir)
    for folder in backup.damaged:
        shutil.rmtree(folder, ignore_errors=True)
    process = {"id": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%F %T")}
    command = command or read_run(run_dir).get("command", "")
    content = {"about": about, "command": command, "process": process}
    with writing(run_dir / "run.json") as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def publish(run_dir, backup, rows):
    """Brings `model.keras` and `history.csv` up to a backup's folder. Safe to repeat."""
    best, model = backup / "model.keras", run_dir / "model.keras"
    if best.exists() and not (model.exists() and model.samefile(best)):
        with writing(model) as partial:
            link(best, partial)
    names = list(dict.fromkeys(name for row in rows for name in row))
    with (
        writing(run_dir / "history.csv") as partial,
        open(partial, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def finish(run_dir):
    """Removes the backups, which makes the run finished, all at once even if killed meanwhile."""
    if (run_dir / "backup").exists():
        removed = run_dir / ".partial-backup"
        shutil.rmtree(removed, ignore_errors=True)
        os.replace(run_dir / "backup", removed)
        sync(run_dir, inside=False)
        shutil.rmtree(removed, ignore_errors=True)


def check_there(run_dir):
    """Raises `FileNotFoundError` unless the folder is the one that `lock` took."""
    descriptor = _LOCKS.get(os.path.realpath(run_dir))
    there = (run_dir / "run.json").exists()
    if there and descriptor is not None:
        there = os.path.samestat(os.stat(run_dir), os.fstat(descriptor))
    if not there:
        raise FileNotFoundError(
            f"The run's folder {str(run_dir)!r} was deleted or replaced while it was trained in, "
            "and the best epoch with it: start the training again."
        )


@contextlib.contextmanager
def locked(run_dir):
    """Holds the lock of a run's folder, which is made if need be. Raises as `lock` does."""
    lock(run_dir)
    try:
        yield
    finally:
        unlock(run_dir)


def lock(run_dir):
    """Takes the lock of a run's folder for this process, and makes the folder if need be.

    Raises:
        ValueError: if another process has it.
        OSError: if the folder cannot be made.
    """
    unlock(run_dir)
    Path(run_dir).mkdir(parents=True, exist_ok=True)
    try:
        _LOCKS[os.path.realpath(run_dir)] = locking.acquire(run_dir)
    except BlockingIOError as error:
        raise ValueError(_in_use(run_dir)) from error


def unlock(run_dir):
    """Gives back what `lock` took, if it did."""
    locking.release(_LOCKS.pop(os.path.realpath(run_dir), None))


def check_free(run_dir):
    """Raises `ValueError` if another process works in the folder."""
    if os.path.realpath(run_dir) not in _LOCKS and locking.is_held(run_dir):
        raise ValueError(_in_use(run_dir))


def _in_use(run_dir):
    process = read_run(run_dir).get("process", {})
    said = ", process {id} on {host} since {since}".format(**process) if process else ""
    return (
        "`run_dir` must not be in use by another process. "
        f"Received: {str(run_dir)!r}, which another run works in{said}. Wait for its end, or pass "
        "another folder."
    )


def _short(value):
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]} ..."
