"""The tests themselves: however a test ends, or does not, the run ends and names it."""

import os
import shlex
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

TESTS = """
import os, signal, time
import pytest

@pytest.mark.parametrize("i", range(3))
def test_before(i):
    pass

def test_{name}():
    {what}

@pytest.mark.parametrize("i", range(3))
def test_after(i):
    pass
"""


def options_of_make_test():
    """The arguments that `make test` gives pytest, without what it chooses among our tests."""
    lines = (ROOT / "Makefile").read_text().splitlines()
    line = next(line for line in lines if line.startswith("TESTS := -m pytest "))
    return shlex.split(line.removeprefix("TESTS := ").replace("$(WORKERS)", "2"))


def run(folder, *options):
    """Runs the tests of a folder as `make test` does, but none longer than two seconds."""
    command = [sys.executable, *options_of_make_test(), "-c", str(ROOT / "pyproject.toml")]
    command += ["--rootdir", str(folder), "-p", "no:cacheprovider", "-o", "faulthandler_timeout=2"]
    environment = {key: value for key, value in os.environ.items() if "PYTEST" not in key}
    command += [*options, str(folder)]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout + done.stderr


def test_both_targets_take_these_options():
    text = (ROOT / "Makefile").read_text()
    assert text.count("/python $(TESTS) -m ") == 2
    ini = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert 0 < ini["faulthandler_timeout"] <= 1200


def test_a_crash_and_a_hang_are_named_and_the_others_run(tmp_path):
    ends = {
        "crash": "os.kill(os.getpid(), signal.SIGSEGV)",
        "hang": "time.sleep(1000)",
        "exit": "os._exit(0)",
        "failure": "raise ValueError",
    }
    for number, (name, what) in enumerate(ends.items()):
        (tmp_path / f"test_{number}.py").write_text(TESTS.format(name=name, what=what))
    code, said = run(tmp_path)
    assert code == 1, said
    for number, name in enumerate(ends):
        assert f"FAILED test_{number}.py::test_{name} - " in said, said
    assert "4 failed, 24 passed" in said, said
    assert "Segmentation fault" in said
    assert "in test_hang" in said  # where it was


def test_a_run_that_crashes_all_the_time_ends(tmp_path):
    for number in range(12):
        text = TESTS.format(name="crash", what="os._exit(1)")
        (tmp_path / f"test_{number}.py").write_text(text)
    code, said = run(tmp_path)
    assert code != 0
    assert "::test_crash - " in said


def test_between_the_tests_an_alarm_watches():
    assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 6 * 3600
