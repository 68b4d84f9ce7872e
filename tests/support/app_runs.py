"""The scripts of apps/, started as people start them."""

import contextlib
import io
import json
import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

APPS = Path(__file__).resolve().parents[2] / "apps"


def start(script, *arguments, folder, **variables):
    command = [sys.executable, APPS / script, *map(str, arguments)]
    environment = {key: value for key, value in os.environ.items() if key != "TF_CONFIG"}
    environment |= variables
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


def two_hosts():
    """The TF_CONFIG of each of two processes on this machine."""
    sockets = [socket.socket() for _ in range(2)]
    for each in sockets:
        each.bind(("localhost", 0))
    hosts = [f"localhost:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    for index in range(2):
        task = {"type": "worker", "index": index}
        yield json.dumps({"cluster": {"worker": hosts}, "task": task})


def assert_refused(script, arguments, said, folder):
    """The script ends as for wrong use, and its last line says why. It runs in this process."""
    told, before = io.StringIO(), (sys.argv, sys.excepthook)
    sys.argv = [script, *map(str, arguments)]
    try:
        in_folder = contextlib.chdir(folder), contextlib.redirect_stderr(told)
        with in_folder[0], in_folder[1], pytest.raises(SystemExit) as ended:
            _run_here(APPS / script)
    finally:
        sys.argv, sys.excepthook = before
    assert ended.value.code == 2, ended.value.code
    assert said in told.getvalue().splitlines()[-1], told.getvalue()


def _run_here(path):
    """Runs a script as Python does, which gives what it raises to the hook that it has set."""
    try:
        runpy.run_path(str(path), run_name="__main__")
    except Exception as error:
        sys.excepthook(type(error), error, error.__traceback__)


def photos(folder, classes, count=20):
    """Noise around a colour: a class can be told in one epoch."""
    random = np.random.default_rng(0)
    for index, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 60, (40, 50, 3)) + 190 * (np.arange(3) == index % 3)
            Image.fromarray(pixels.clip(0, 255).astype("uint8")).save(
                folder / name / f"{number}.png"
            )


def cells(folder, count=16):
    """Grey slices: bright cells, dark membranes between, 0/255 masks; one mask is missing."""
    random = np.random.default_rng(0)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for number in range(count):
        mask = np.full((40, 48), 255, "uint8")
        mask[random.integers(5, 35) :][:3] = 0
        mask[:, random.integers(5, 43) :][:, :3] = 0
        pixels = (mask * 0.5 + 40 + random.normal(0, 25, mask.shape)).clip(0, 255)
        Image.fromarray(pixels.astype("uint8")).save(folder / "images" / f"{number}.tif")
        if number:
            Image.fromarray(mask).save(folder / "masks" / f"{number}_mask.png")


def drawings(folder, counts):
    """Berkeley's folder: bright rectangles on noise, whose outlines two people drew."""
    from scipy.io import savemat

    random = np.random.default_rng(0)
    for split, count in counts.items():
        for part in ("images", "groundTruth"):
            (folder / part / split).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 60, (32, 40, 3)).astype("uint8")
            top, left, height, width = random.integers((3, 3, 8, 8), (12, 14, 18, 22))
            pixels[top : top + height, left : left + width] += 150
            people = np.empty((1, 2), object)
            for place in range(2):
                lines = np.zeros((32, 40), "uint8")
                lines[top : top + height + place, left : left + width] = 1
                lines[top + 1 : top + height - 1 + place, left + 1 : left + width - 1] = 0
                people[0, place] = {"Boundaries": lines}
            Image.fromarray(pixels).save(folder / "images" / split / f"{number}.png")
            savemat(folder / "groundTruth" / split / f"{number}.mat", {"groundTruth": people})
