"""Backups of a run: complete when they have their name, checked when they are read."""

import contextlib
import dataclasses
import hashlib
import json
import re
import shutil
from pathlib import Path

from kvision.files.reading import reading
from kvision.files.writing import writing

_KEPT = 2  # the newest, and the one to go back to if the disk damages it
_STATE = "state.json"
_MODEL = "model.keras"


@dataclasses.dataclass(frozen=True)
class Backup:
    """What a training can go on from.

    Attributes:
        epochs: how many it has behind it; 0 where there is no backup to go on from.
        folder: its files.
        state: what was given to `new_backup` with them.
        damaged: newer folders that are not what they were.
        reasons: why, a line each.
    """

    epochs: int = 0
    folder: Path | None = None
    state: dict | None = None
    damaged: tuple = ()
    reasons: tuple = ()


def backups_of(run_dir):
    """The folders of backups, the newest first, whole or not."""
    found = [
        folder
        for folder in Path(run_dir).glob("backup/epoch-*")
        if re.fullmatch(r"epoch-[0-9]+", folder.name) and folder.is_dir()
    ]
    return sorted(found, key=lambda folder: int(folder.name[6:]), reverse=True)


def latest_backup(run_dir):
    """The newest `Backup` that is whole; of no epochs where there is none."""
    damaged, reasons = [], []
    for folder in backups_of(run_dir):
        try:
            state = _read(folder)
            return Backup(state["epochs"], folder, state, tuple(damaged), tuple(reasons))
        except (ValueError, FileNotFoundError) as error:
            damaged.append(folder)
            reasons.append(str(error).splitlines()[0])
    return Backup(damaged=tuple(damaged), reasons=tuple(reasons))


@contextlib.contextmanager
def new_backup(run_dir, state):
    """Gives a folder to write the files of a backup in, and makes it one when they are there.

    Args:
        run_dir: path of the run's folder.
        state: dict of what must be remembered beside the files; `epochs` is the number of
            epochs. What is added to it meanwhile counts.
    """
    final = Path(run_dir) / "backup" / f"epoch-{state['epochs']:05d}"
    with writing(final) as folder:
        folder.mkdir()
        yield folder
        files = {path.name: _digest(path) for path in sorted(folder.iterdir())}
        text = json.dumps({**state, "files": files})
        (folder / _STATE).write_text(text, encoding="utf-8")


def remove_older(run_dir):
    """Removes the backups before the newest two."""
    for older in backups_of(run_dir)[_KEPT:]:
        shutil.rmtree(older, ignore_errors=True)


def _read(folder):
    """The state of a backup whose files are what they were."""
    path = folder / _STATE
    with reading(path, "The backup", "It was damaged."):
        state = json.loads(path.read_text(encoding="utf-8"))
        files, epochs, _ = state["files"].items(), int(state["epochs"]), list(state["rows"])
    if epochs != int(folder.name[6:]):
        raise ValueError(f"The backup {folder} is one of epoch {epochs}")
    for name, digest in files:
        if not (folder / name).is_file():
            raise FileNotFoundError(f"The backup {folder} has lost its {name}")
        if _digest(folder / name) != digest:
            raise ValueError(f"The backup {folder} has a damaged {name}")
    return state


def _digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
