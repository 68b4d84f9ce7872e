"""The Keras-only rooms run on JAX: every registered model gives there what it gives here."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from networks import skeleton

import kvision as kv

# Normalisation by the statistics of a few tiny pictures magnifies rounding, and a maximum that is
# nearly shared by two pixels may be unpooled at the other one.
LIMITS = {"DeconvNet": 1e-3, "DeepLabV3Plus": 5e-4, "SegNet": 5e-4}


def pictures(model):
    """Two pictures of noise, with three regions each where the network wants regions."""
    random = np.random.default_rng(0)
    several = isinstance(model.input, dict)
    shape = (model.input["image"] if several else model.input).shape[1:]
    images = random.uniform(0, 255, (2, *shape)).astype("float32")
    regions = np.sort(random.uniform(0, 1, (2, 3, 2, 2)), axis=2).reshape(2, 3, 4)
    return {"image": images, "proposals": regions.astype("float32")} if several else images


def one_of_each_layer():
    """Names of networks, the smallest first, that have a kind of layer that none before has."""
    seen, names = set(), []
    for name in sorted(OTHERS, key=lambda name: len(skeleton(name).layers)):
        kinds = {type(layer) for layer in skeleton(name).layers}
        if not kinds <= seen:
            names.append(name)
        seen |= kinds
    return names


DETECTORS = kv.list_models("detection")  # whose layers have a fast test on JAX of their own
OTHERS = [name for name in kv.list_models() if name not in DETECTORS]


@pytest.mark.parametrize(
    "names",
    [
        one_of_each_layer,
        pytest.param(lambda: OTHERS, marks=pytest.mark.slow),
        pytest.param(lambda: DETECTORS, marks=pytest.mark.slow),
    ],
    ids=["few", "others", "detectors"],
)
def test_forward_sweep(names, tmp_path, alive):
    names = sorted(names())
    for name in names:
        entry = kv.model_info(name)
        model = entry.builder(**entry.tiny)
        if entry.task != "detection":  # whose outputs vary with the anchors as they are
            model = alive(model)
        inputs = pictures(model)
        (tmp_path / name).mkdir()
        if name in ("LeNet5", "SSDLite"):
            model.save(tmp_path / name / "model.keras")
        weights = {f"weight_{i}": array for i, array in enumerate(model.get_weights())}
        kept = model.output
        if isinstance(kept, dict):  # which of two like boxes is suppressed is a matter of rounding
            kept = kept["raw"]
        outputs = keras.tree.flatten(keras.Model(model.input, kept)(inputs))
        outputs = {f"output_{i}": np.asarray(output) for i, output in enumerate(outputs)}
        inputs = inputs if isinstance(inputs, dict) else {"image": inputs}
        np.savez(tmp_path / name / "arrays.npz", **inputs, **outputs, **weights)
    script = Path(__file__).with_name("jax_forward.py")
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    result = subprocess.run(
        [sys.executable, script, tmp_path],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    rows = [line.split() for line in result.stdout.splitlines()]
    assert [row[0] for row in rows] == names
    assert {row[1] for row in rows} == {"jax"}
    differences = {row[0]: float(row[2]) for row in rows}
    wrong = {
        name: difference
        for name, difference in differences.items()
        if not difference < LIMITS.get(name, 1e-4)  # also where it is no number
    }
    assert not wrong, result.stdout
