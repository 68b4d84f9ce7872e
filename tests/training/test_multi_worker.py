"""Two processes on this machine as two hosts: they train, one dies, they go on."""

import json
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import kvision as kv

WORKER = Path(__file__).with_name("train_worker.py")
ROOT = Path(__file__).resolve().parents[2]
NORMS = [None, "synchronized", "local"]
ONE_TRAINING = {"epochs": 3, "norms": ["local"]}
SECONDS = 240


class Job:
    """Two workers with a cluster of their own; `run_dirs` has one folder for each."""

    def __init__(self, folder, job, run_dirs, kill_second=None):
        folder.mkdir()
        sockets = [socket.socket() for _ in run_dirs]
        for each in sockets:
            each.bind(("localhost", 0))
        hosts = [f"localhost:{each.getsockname()[1]}" for each in sockets]
        for each in sockets:
            each.close()
        self.outputs = [folder / f"output-{index}.txt" for index in range(len(hosts))]
        self.results = [folder / f"result-{index}.npz" for index in range(len(hosts))]
        self.processes = []
        for index, run_dir in enumerate(run_dirs):
            task = {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}}
            described = {**job, "run_dir": str(run_dir), "result": str(self.results[index])}
            if kill_second and index == 1:
                described["kill"] = kill_second
            environment = {
                **os.environ,
                "TF_CONFIG": json.dumps(task),
                "TF_CPP_MIN_LOG_LEVEL": "2",
                "PYTHONPATH": str(ROOT),
            }
            with open(self.outputs[index], "w") as output:
                self.processes.append(
                    subprocess.Popen(
                        [sys.executable, str(WORKER), json.dumps(described)],
                        env=environment,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                    )
                )

    def wait(self):
        """Waits until all have ended, or ends the others once one has failed."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            codes = [process.poll() for process in self.processes]
            if all(code is not None for code in codes):
                return codes
            if any(codes):
                break
            time.sleep(0.1)
        grace = time.monotonic() + 3
        while time.monotonic() < grace and None in [each.poll() for each in self.processes]:
            time.sleep(0.1)
        for process in self.processes:
            process.kill()
        return [process.wait() for process in self.processes]

    def finish(self):
        """The results of both workers; fails with their output if one fails."""
        codes = self.wait()
        assert codes == [0, 0], f"exit codes {codes}\n" + "\n---\n".join(self.output())
        return [dict(np.load(result)) for result in self.results]

    def output(self):
        return [path.read_text()[-6000:] for path in self.outputs]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    job = {"epochs": 3, "norms": NORMS, "predict": True, "plain": True}
    return folder, Job(folder / "job", job, [folder / "run"] * 2).finish()


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A run folder that two hosts left when the second was killed in the second epoch."""
    folder = tmp_path_factory.mktemp("killed")
    broken = Job(folder / "job", ONE_TRAINING, [folder / "run"] * 2, kill_second=[1, 2])
    codes = broken.wait()
    assert codes[1] == -signal.SIGKILL, broken.output()
    assert codes[0] != 0
    return folder / "run-local"


def learned(results, norm):
    """What a training of the job leaves: its weights and curves."""
    names = ("weight_", "loss", "accuracy", "val_loss", "val_accuracy", "predict")
    prefix = f"{norm}/"
    return {
        name: value
        for name, value in results.items()
        if name.startswith(prefix) and name.removeprefix(prefix).startswith(names)
    }


@pytest.mark.parametrize("norm", NORMS)
def test_two_hosts_end_with_the_same_weights(undisturbed, norm):
    first, second = undisturbed[1]
    assert len(learned(first, norm)) > 6
    for name, value in learned(first, norm).items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)


@pytest.mark.parametrize("norm", [None, "synchronized"])
def test_two_hosts_learn_what_one_process_learns(undisturbed, norm):
    train = runpy.run_path(str(WORKER))["train"]
    alone = train(kv.training.strategy(), {"epochs": 3, "predict": True}, norm)
    for name, value in learned(undisturbed[1][0], norm).items():
        expected = alone[name.split("/")[1]]
        np.testing.assert_allclose(value, expected, atol=2e-4, rtol=2e-4, err_msg=name)


def test_only_the_first_host_writes(undisturbed):
    folder, _ = undisturbed
    for norm in NORMS:
        files = sorted(path.name for path in (folder / f"run-{norm}").iterdir())
        assert files == ["history.csv", "model.keras", "run.json"]
    assert len((folder / "run-None" / "history.csv").read_text().splitlines()) == 4


@pytest.mark.slow
def test_a_killed_worker_does_not_change_the_result(undisturbed, killed, tmp_path):
    folder, (expected, _) = undisturbed
    shutil.copytree(killed, tmp_path / "run-local")
    results = Job(tmp_path / "again", ONE_TRAINING, [tmp_path / "run"] * 2).finish()
    for result in results:
        assert result["local/first_epoch"] == 1
        for name, value in learned(expected, "local").items():
            if "weight" in name:
                np.testing.assert_array_equal(result[name], value, err_msg=name)
    history = (tmp_path / "run-local" / "history.csv").read_text()
    assert history == (folder / "run-local" / "history.csv").read_text()


@pytest.mark.slow
def test_hosts_that_find_different_backups_say_so(killed, tmp_path):
    """As in a folder that is not shared: the first host's backup is unknown to the second."""
    shutil.copytree(killed, tmp_path / "first-local")
    apart = Job(tmp_path / "apart", ONE_TRAINING, [tmp_path / "first", tmp_path / "second"])
    assert 0 not in apart.wait()
    assert "must be a folder that all of them share" in "".join(apart.output())
    assert "find backups after [1, 0] epochs" in "".join(apart.output())


def test_plain_keras_still_fails_with_several_hosts(undisturbed):
    """When this fails, keras#20585 is fixed: EvenMultiWorkerStrategy.reduce can go."""
    for result in undisturbed[1]:
        assert "PerReplica" in str(result["plain_fit_error"])
