"""The scripts of apps/, started as people start them."""

import os
import subprocess
import sys
from pathlib import Path

APPS = Path(__file__).resolve().parents[2] / "apps"


def start(script, *arguments, folder):
    command = [sys.executable, APPS / script, *map(str, arguments)]
    environment = {key: value for key, value in os.environ.items() if key != "TF_CONFIG"}
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def run(script, *arguments, folder):
    process = start(script, *arguments, folder=folder)
    output, _ = process.communicate(timeout=600)
    return process.returncode, output


def assert_refused(script, arguments, said, folder):
    """The script ends as for wrong use, and its last line says why."""
    code, output = run(script, *arguments, folder=folder)
    assert code == 2
    assert said in output.splitlines()[-1]
