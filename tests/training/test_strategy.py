"""Which devices `strategy` gives, and what it says where it cannot."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

import kvision as kv
from kvision.training.hosts import is_chief

ROOT = Path(__file__).resolve().parents[2]


def in_new_process(code):
    """Runs code in a process whose TensorFlow is untouched, and returns what it prints."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONPATH": str(ROOT)}
    environment.pop("TF_CONFIG", None)
    code = f"import tensorflow as tf\nimport kvision as kv\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout.strip()


@pytest.mark.skipif(
    bool(tf.config.list_physical_devices("GPU")), reason="this machine has GPUs, None takes them"
)
def test_default_without_gpus():
    strategy = kv.training.strategy()
    assert strategy is tf.distribute.get_strategy()
    with strategy.scope():
        assert not tf.distribute.has_strategy()


@pytest.mark.parametrize(
    "devices", [2, ["CPU:0", "CPU:1"], ("/cpu:1", "/device:CPU:0"), ["/CPU:1"], 1]
)
def test_replicas(devices):
    if tf.config.list_physical_devices("GPU") and isinstance(devices, int):
        pytest.skip("this machine has GPUs, a number takes them")
    strategy = kv.training.strategy(devices)
    assert isinstance(strategy, tf.distribute.MirroredStrategy)
    wanted = devices if isinstance(devices, int) else len(devices)
    assert strategy.num_replicas_in_sync == wanted
    with strategy.scope():
        variable = tf.Variable(1.0)
    copies = strategy.experimental_local_results(variable)
    placed = [copy.device.split("device:")[1] for copy in copies]
    if not isinstance(devices, int):
        assert placed == [name.upper()[-5:] for name in devices]


def test_the_same_devices_are_the_same_strategy():
    assert kv.training.strategy(2) is kv.training.strategy(["CPU:0", "CPU:1"])


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        (0, "`devices` must be 1 or more"),
        (-2, "`devices` must be 1 or more"),
        (True, "None, a number of devices or a list"),
        ([], "None, a number of devices or a list"),
        ("GPU:0", "None, a number of devices or a list"),
        (["TPU:0"], "must look like 'GPU:0'"),
        (["CPU:0", "/cpu:0"], "each device once"),
        (["CPU:0", "GPU:7"], "there is no GPU:7 among"),
    ],
)
def test_devices_that_cannot_be(devices, message):
    with pytest.raises(ValueError, match=message):
        kv.training.strategy(devices)


def test_too_many_devices_once_tensorflow_runs():
    tf.zeros([1])
    with pytest.raises(ValueError, match="already runs with 2 virtual CPU device"):
        kv.training.strategy(["CPU:0", "CPU:2"])


def test_virtual_devices_in_a_fresh_process():
    code = "print(kv.training.strategy(['CPU:0', 'CPU:2']).num_replicas_in_sync)"
    code += "\nprint(len(tf.config.list_logical_devices('CPU')))"
    assert in_new_process(code).split() == ["2", "3"]


def test_virtual_devices_when_tensorflow_already_runs():
    code = """
tf.zeros([1])
print(kv.training.strategy(1).num_replicas_in_sync)
try:
    kv.training.strategy(['CPU:0', 'CPU:1'])
except ValueError as error:
    print(error)
"""
    text = in_new_process(code)
    assert text.startswith("1\nTensorFlow already runs with 1 virtual CPU device")
    assert "Call kv.training.strategy before anything else" in text


def config(cluster, **task):
    return json.dumps({"cluster": cluster, "task": task})


TWO = {"worker": ["localhost:1", "localhost:2"]}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"cluster": 3}',
        config({"worker": ["a:1"], "ps": ["b:1"]}, type="worker", index=0),
        config(TWO, type="chief", index=0),
        config(TWO, type="worker", index=2),
        config(TWO),
    ],
)
def test_tf_config_that_cannot_be(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="TF_CONFIG"):
        kv.training.strategy()


def test_several_hosts_take_no_devices(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config(TWO, type="worker", index=0))
    with pytest.raises(ValueError, match="`devices` must be None when TF_CONFIG"):
        kv.training.strategy(2)


def test_a_cluster_of_one_is_this_machine(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config({"chief": ["localhost:1"]}, type="chief", index=0))
    assert kv.training.strategy(2).num_replicas_in_sync == 2


@pytest.mark.parametrize(
    ("cluster", "kind", "index", "chief"),
    [
        (TWO, "worker", 0, True),
        (TWO, "worker", 1, False),
        ({"chief": ["a:1"], **TWO}, "chief", 0, True),
        ({"chief": ["a:1"], **TWO}, "worker", 0, False),
    ],
)
def test_who_writes(monkeypatch, cluster, kind, index, chief):
    monkeypatch.setenv("TF_CONFIG", config(cluster, type=kind, index=index))
    assert is_chief() is chief
    monkeypatch.delenv("TF_CONFIG")
    assert is_chief()
