"""What all scripts of apps/ have in common: length, flags, and help that costs nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

APPS = sorted((Path(__file__).resolve().parents[1] / "apps").glob("*.py"))
SHARED = "--run --model --option --weights --size --channels --epochs --batch-size --learning-rate "
SHARED += "--split --data-option --resize --seed --devices --patience --jit-compile --augment"
ASK_ALL = """
import contextlib, io, json, runpy, sys
told = {}
for path in sys.argv[1:]:
    sys.argv = [path, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as text:
        try:
            runpy.run_path(path, run_name="__main__")
        except SystemExit as end:
            assert not end.code, (path, end.code)
    told[path] = text.getvalue()
    assert "tensorflow" not in sys.modules, path
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def helps():
    result = subprocess.run(
        [sys.executable, "-c", ASK_ALL, *map(str, APPS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return {Path(path).name: text for path, text in json.loads(result.stdout).items()}


@pytest.mark.parametrize("path", APPS, ids=lambda path: path.name)
def test_a_reader_sees_it_at_once(path, helps):
    assert len(path.read_text().splitlines()) < 120
    assert helps[path.name].startswith("usage:")


def test_training_scripts_take_the_same_flags(helps):
    training = [name for name in helps if name.startswith("train_")]
    assert len(training) >= 4
    for name in training:
        missing = [flag for flag in SHARED.split() if flag not in helps[name]]
        assert not missing, (name, missing)
