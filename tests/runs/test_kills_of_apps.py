"""The three scripts and two hosts, killed in earnest at twenty moments and started again."""

import csv
import itertools
import json
import random
import signal
import time

import numpy as np
import pytest
from app_runs import cells, photos, start, two_hosts
from squares import write_squares

import kvision as kv

pytestmark = pytest.mark.slow

CLASSIFIER = ["photos", "--model", "LeNet5", "--option", "variant=modern", "--size", 32]
CLASSIFIER += ["--batch-size", 4, "--epochs", 12, "--learning-rate", 0.01]
SEGMENTER = ["cells", "--backbone", "none", "--size", "32x48", "--channels", 1]
SEGMENTER += ["--option", "padding=same", "--option", "filters=4", "--option", "depth=2"]
SEGMENTER += ["--batch-size", 4, "--epochs", 8, "--learning-rate", 0.02]
DETECTOR = ["squares/boxes.csv", "--size", 64, "--backbone", "ResNet18", "--batch-size", 4]
DETECTOR += ["--backbone-option", "alpha=0.25", "--epochs", 6, "--score-every", 2]
SCRIPTS = {
    "classifier": ("train_classifier.py", CLASSIFIER),
    "segmenter": ("train_segmenter.py", SEGMENTER),
    "detector": ("train_detector.py", DETECTOR),
    "hosts": ("train_classifier.py", CLASSIFIER),
}
SECONDS = 400


def moments():
    """Five for each: one at random in each fifth of what a run takes once its folder is there."""
    chance = random.Random(11)
    for fifth, name in itertools.product(range(5), SCRIPTS):
        yield name, fifth, chance.random()


class Attempt:
    """One start of a command; of two hosts, of both, and then of one without the other.

    Args:
        name: of the script.
        folder: where the data are and the run goes.
        life: seconds from when the run's folder is in use until the process is killed, or None.
    """

    def __init__(self, name, folder, life=None):
        self.script, self.arguments = SCRIPTS[name]
        self.folder, self.life = folder, life
        self.output, self.killed, self.begun = "", False, None
        if name == "hosts":
            self.run([{"TF_CONFIG": text} for text in two_hosts()])
        if not self.killed:
            self.run([{}])
        self.took = time.monotonic() - (self.begun or 0)

    def run(self, environments):
        arguments = [*self.arguments, "--run", "run"]
        processes = [
            start(self.script, *arguments, folder=self.folder, **variables)
            for variables in environments
        ]
        deadline = time.monotonic() + SECONDS
        while any(process.poll() is None for process in processes):
            now = time.monotonic()
            if self.begun is None and (self.folder / "run" / "run.json").exists():
                self.begun = now
            due = self.life is not None and self.begun and now > self.begun + self.life
            if due or now > deadline:
                victim = processes[-1]
                self.killed = due and victim.poll() is None
                victim.send_signal(signal.SIGKILL)
                time.sleep(0.5)
                for process in processes:
                    process.kill()
                break
            time.sleep(0.01)
        self.output += "\n".join(process.communicate()[0] for process in processes)
        assert self.killed or all(process.returncode in (0, 1) for process in processes), (
            self.output
        )


def write_data(folder):
    photos(folder / "photos", ["green", "blue"])
    green, blue = folder / "photos" / "green", folder / "photos" / "blue"
    for number in range(0, 20, 4):  # some are in the wrong folder, so that there is a best epoch
        (green / f"{number}.png").rename(folder / "photos" / "other.png")
        (blue / f"{number}.png").rename(green / f"{number}.png")
        (folder / "photos" / "other.png").rename(blue / f"{number}.png")
    cells(folder / "cells")
    write_squares(folder / "squares", 24, seed=0)
    return folder


def history(run_dir):
    rows = list(csv.DictReader((run_dir / "history.csv").read_text().splitlines()))
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def left(run_dir):
    """All that a run leaves that is not of time or place."""
    card = json.loads((run_dir / "card.json").read_text())
    checks = {
        name: {key: file["check"][key] for key in ("passed", "metric_file", "metric_drop")}
        for name, file in card["files"].items()
    }
    names = sorted(str(path.relative_to(run_dir)) for path in run_dir.rglob("*"))
    return names, history(run_dir), card["metrics"], checks, card["command"], card["classes"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Of each script its run, and the seconds that it took; made when they are asked for."""
    runs = {}

    def make(name):
        if name not in runs:
            folder = write_data(tmp_path_factory.mktemp(name))
            attempt = Attempt(name, folder)
            assert (folder / "run" / "card.json").exists(), attempt.output
            runs[name] = folder / "run", attempt.took
        return runs[name]

    return make


@pytest.mark.parametrize(("name", "fifth", "share"), list(moments()))
def test_killed_and_started_again(undisturbed, tmp_path, name, fifth, share):
    whole, seconds = undisturbed(name)
    write_data(tmp_path)
    killed = Attempt(name, tmp_path, life=(fifth + share) / 5 * seconds)
    again = Attempt(name, tmp_path)
    run = tmp_path / "run"
    assert (run / "card.json").exists(), killed.output + again.output
    for mine, wanted in zip(left(run), left(whole), strict=True):
        assert mine == wanted
    models = [kv.export.load_keras(each) for each in (run, whole)]
    for mine, wanted in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(mine, wanted)


@pytest.mark.parametrize("name", ["classifier", "segmenter"])
def test_the_exported_epoch_is_the_best(undisturbed, name):
    """And others are worse, of the classifier the last one too."""
    run, _ = undisturbed(name)
    losses = [float(row["val_loss"]) for row in history(run)]
    model = kv.export.load_keras(run)
    size = model.input_shape[1:]
    validation = kv.data.load(run.parent / SCRIPTS[name][1][0], "train[80%:90%]")
    batches = kv.data.batches(validation, size, 4)
    loss = (
        kv.losses.MaskCrossentropy() if name == "segmenter" else "sparse_categorical_crossentropy"
    )
    model.compile(loss=loss)
    assert model.evaluate(batches, verbose=0) == pytest.approx(min(losses), rel=1e-4)
    assert (losses[-1] if name == "classifier" else max(losses)) > 1.05 * min(losses)
