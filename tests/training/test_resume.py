"""A training process that is killed and started again ends where an undisturbed one does."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

WORKER = Path(__file__).with_name("train_worker.py")
ROOT = Path(__file__).resolve().parents[2]


def run(folder, name, **job):
    """Runs one training process and returns its exit code, output and results."""
    result = folder / f"{name}.npz"
    job = {"epochs": 3, "dropout": True, "norms": ["local"], "result": str(result), **job}
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONPATH": str(ROOT)}
    environment.pop("TF_CONFIG", None)
    done = subprocess.run(
        [sys.executable, str(WORKER), json.dumps(job)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return done.returncode, done.stderr[-6000:], dict(np.load(result)) if result.exists() else None


@pytest.mark.parametrize("devices", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_a_killed_run_ends_like_an_undisturbed_one(tmp_path, devices):
    code, error, expected = run(tmp_path, "whole", run_dir=str(tmp_path / "whole"), devices=devices)
    assert code == 0, error
    parts = {"run_dir": str(tmp_path / "parts"), "devices": devices}
    code, error, _ = run(tmp_path, "killed", kill=[1, 2], **parts)
    assert code == -signal.SIGKILL, error
    assert not (tmp_path / "killed.npz").exists()
    code, error, results = run(tmp_path, "again", **parts)
    assert code == 0, error
    assert results["local/first_epoch"] == 1
    weights = [name for name in expected if "weight" in name]
    assert len(weights) > 5
    for name in weights:
        np.testing.assert_array_equal(results[name], expected[name], err_msg=name)
    histories = [
        (tmp_path / f"{each}-local" / "history.csv").read_text() for each in ("parts", "whole")
    ]
    assert histories[0] == histories[1]
    assert [line.split(",")[0] for line in histories[0].splitlines()] == ["epoch", "0", "1", "2"]
