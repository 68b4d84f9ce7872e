"""A run folder that others have touched: damaged, deleted, shared, full or for something else."""

import errno
import json
import os
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from short_runs import Scripted, Stop, fit, interrupted, make_model

import kvision as kv
from kvision.training import run_folder
from kvision.training.backups import latest_backup

SCRIPT = [Scripted(val_loss=[4.0, 3.0, 5.0, 6.0])]


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(0)
    return generator.normal(size=(12, 5)).astype("float32"), generator.integers(0, 3, 12)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, data):
    """A run that was left in peace, and the same one broken off in its fourth epoch."""
    folder = tmp_path_factory.mktemp("runs")
    train(folder / "whole", data)
    with pytest.raises(KeyboardInterrupt):
        train(folder / "parts", data, Stop(3))
    return folder


def train(run_dir, data, *others):
    """Four epochs of which the second is the best, in an order that depends on the seed alone."""
    keras.utils.set_random_seed(2)
    fit(make_model(), data, run_dir, epochs=4, before=[*SCRIPT, *others])


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGES = {
    "empty state": lambda backup: (backup / "state.json").write_text(""),
    "state that is no UTF-8": lambda backup: (backup / "state.json").write_bytes(b"\xff\xfe{"),
    "state of something else": lambda backup: (backup / "state.json").write_text("[1]"),
    "state of another epoch": lambda backup: shutil.copy(
        backup.with_name("epoch-00002") / "state.json", backup
    ),
    "no state": lambda backup: (backup / "state.json").unlink(),
    "truncated weights": lambda backup: truncate(backup / "latest.weights.h5"),
    "no weights": lambda backup: (backup / "latest.weights.h5").unlink(),
    "truncated model": lambda backup: truncate(backup / "model.keras"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_backup_is_passed_over(runs, tmp_path, damage):
    shutil.copytree(runs / "parts", tmp_path / "run")
    DAMAGES[damage](tmp_path / "run" / "backup" / "epoch-00003")
    found = latest_backup(tmp_path / "run")
    assert found.epochs == kv.training.completed_epochs(tmp_path / "run") == 2
    assert [folder.name for folder in found.damaged] == ["epoch-00003"]
    assert "epoch-00003" in found.reasons[0]


def test_a_damaged_run_ends_as_a_whole_one(runs, data, tmp_path, capfd):
    shutil.copytree(runs / "parts", tmp_path / "run")
    truncate(tmp_path / "run" / "backup" / "epoch-00003" / "latest.weights.h5")
    (tmp_path / "run" / "backup" / "epoch-zzz").mkdir()
    train(tmp_path / "run", data)
    [line] = [line for line in capfd.readouterr().out.splitlines() if "epoch-00003" in line]
    assert line.endswith("has a damaged latest.weights.h5: going on after epoch 2.")
    assert_same(tmp_path / "run", runs / "whole")


def assert_same(run_dir, expected):
    assert (run_dir / "history.csv").read_text() == (expected / "history.csv").read_text()
    models = [keras.models.load_model(each / "model.keras") for each in (run_dir, expected)]
    for mine, wanted in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(mine, wanted)


def test_a_run_without_a_whole_backup_begins_anew(runs, data, tmp_path, capfd):
    shutil.copytree(runs / "parts", tmp_path / "run")
    for state in (tmp_path / "run").glob("backup/epoch-*/state.json"):
        state.write_text("{}")
    assert kv.training.completed_epochs(tmp_path / "run") == 0
    assert not kv.training.is_finished(tmp_path / "run")
    fit(make_model(), data, tmp_path / "run", epochs=1, before=SCRIPT)
    out = capfd.readouterr().out
    assert "there is no 'files'" in out
    assert "going on from the beginning" in out
    assert kv.training.completed_epochs(tmp_path / "run") == 1


def test_a_disk_that_does_not_keep_what_is_written(data, tmp_path, monkeypatch):
    from kvision.training import checkpoints

    def forgetful(run_dir):
        found = latest_backup(run_dir)
        if found.epochs:
            truncate(found.folder / "latest.weights.h5")
        return latest_backup(run_dir)

    monkeypatch.setattr(checkpoints, "latest_backup", forgetful)
    with pytest.raises(OSError, match="has a damaged latest.weights.h5 as soon as it was written"):
        fit(make_model(), data, tmp_path, epochs=1)


class At(keras.callbacks.Callback):
    """Does something to a run folder when an epoch begins."""

    def __init__(self, epoch, change):
        super().__init__()
        self.when, self.change = epoch, change

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.when:
            self.change()


@pytest.mark.parametrize("again", [False, True])
def test_a_folder_that_is_deleted_meanwhile(data, tmp_path, again):
    def delete():
        shutil.rmtree(tmp_path / "run")
        if again:
            (tmp_path / "run").mkdir()
            (tmp_path / "run" / "run.json").write_text("{}")

    with pytest.raises(FileNotFoundError, match="was deleted or replaced while it was trained in"):
        fit(make_model(), data, tmp_path / "run", before=[At(1, delete)])
    assert not kv.training.is_finished(tmp_path / "run")


def test_files_that_are_deleted_meanwhile(runs, data, tmp_path):
    """What the folder still has makes up for them: the best epoch is never lost."""
    run_dir = tmp_path / "run"
    shutil.copytree(runs / "parts", run_dir)
    shutil.rmtree(run_dir / "backup" / "epoch-00002")
    (run_dir / "model.keras").unlink()
    train(run_dir, data, At(3, (run_dir / "model.keras").unlink))
    assert_same(run_dir, runs / "whole")
    other = tmp_path / "other"
    train(other, data, At(2, lambda: shutil.rmtree(other / "backup")))
    assert_same(other, runs / "whole")


HOLD = """
import sys
from pathlib import Path
sys.modules["kvision.training"] = type(sys)("kvision.training")
sys.modules["kvision.training"].__path__ = [sys.argv[1]]
from kvision.training import run_folder
from kvision.training.backups import Backup
run_folder.lock(Path(sys.argv[2]))
run_folder.begin(Path(sys.argv[2]), {}, "", Backup())
print("holds it", flush=True)
sys.stdin.read()
"""


def test_one_process_a_folder(data, tmp_path):
    room = os.path.dirname(run_folder.__file__)
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, room, tmp_path / "run"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout.readline() == "holds it\n"
    late = kv.training.callbacks(tmp_path / "late")
    late[-1].run_dir = tmp_path / "run"
    said = f"which another run works in, process {other.pid} on .+ since .+Wait for its end"
    with pytest.raises(ValueError, match=said):
        kv.training.callbacks(tmp_path / "run")
    with pytest.raises(ValueError, match=said):
        make_model().fit(*data, callbacks=late, verbose=0)
    with pytest.raises(ValueError, match=said):
        kv.runs.release(make_model(), tmp_path / "run", [], [], [])
    other.kill()
    other.wait()
    fit(make_model(), data, tmp_path / "run", epochs=1)
    assert kv.training.is_finished(tmp_path / "run")


def test_a_run_of_something_else(runs, data, tmp_path):
    about = {"classes": ["cat", "dog"], "data": "train 12 (ab)"}
    interrupted(make_model(), data, tmp_path / "run", 1, about=about)
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    other = {**about, "classes": ["dog", "cat"]}
    with pytest.raises(ValueError, match=r'begun with the classes \["cat", "dog"\]. Received:'):
        kv.training.callbacks(tmp_path / "run", about=other)
    fit(make_model(), data, tmp_path / "run", epochs=2, about={"classes": ("cat", "dog")})
    with pytest.raises(ValueError, match="begun with the classes"):
        run_folder.check_about(tmp_path / "run", other)
    fit(make_model(), data, tmp_path / "copy", epochs=1, about=other, resume=False)
    assert json.loads((tmp_path / "copy" / "run.json").read_text())["about"] == other
    kv.training.callbacks(tmp_path / "new", about=about)
    (tmp_path / "run" / "run.json").write_bytes(b"\xff")
    with pytest.raises(ValueError, match="run.json cannot be read"):
        run_folder.check_about(tmp_path / "run", about)


def test_a_disk_that_cannot_be_written_to(data, tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("tempfile.TemporaryFile", full)
        with pytest.raises(OSError, match=r"cannot be written \(No space left.+start again"):
            kv.training.callbacks(tmp_path / "run")
    with monkeypatch.context() as patch:
        fills = At(1, lambda: patch.setattr(keras.Model, "save_weights", full))
        with pytest.raises(OSError, match=r"epoch-00002 cannot be written \(No space left on"):
            fit(make_model(), data, tmp_path / "run", before=[fills])
    assert kv.training.completed_epochs(tmp_path / "run") == 1
    fit(make_model(), data, tmp_path / "run")
    assert kv.training.completed_epochs(tmp_path / "run") == 3
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="Not a directory"):
        kv.training.callbacks(tmp_path / "file" / "run")
