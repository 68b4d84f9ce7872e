"""The Keras-only rooms run on JAX: every registered model gives there what it gives here."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np

import kvision as kv

# Normalisation by the statistics of a few tiny pictures magnifies rounding, and a maximum that is
# nearly shared by two pixels may be unpooled at the other one.
LIMITS = {"DeconvNet": 1e-3, "DeepLabV3Plus": 5e-4, "SegNet": 5e-4}


def test_forward_sweep(tmp_path, alive):
    for name in kv.list_models():
        entry = kv.model_info(name)
        model = alive(entry.builder(**entry.tiny))
        images = (
            np.random.default_rng(0).uniform(0, 255, (2, *model.input_shape[1:])).astype("float32")
        )
        (tmp_path / name).mkdir()
        if name == "LeNet5":
            model.save(tmp_path / name / "model.keras")
        weights = {f"weight_{i}": array for i, array in enumerate(model.get_weights())}
        outputs = model(images)
        # Which of two like boxes is suppressed is a matter of rounding; what goes before is not.
        outputs = keras.tree.flatten(outputs["raw"] if isinstance(outputs, dict) else outputs)
        outputs = {f"output_{i}": np.asarray(output) for i, output in enumerate(outputs)}
        np.savez(tmp_path / name / "arrays.npz", images=images, **outputs, **weights)
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
    assert [row[0] for row in rows] == kv.list_models()
    assert {row[1] for row in rows} == {"jax"}
    differences = {row[0]: float(row[2]) for row in rows}
    wrong = {
        name: difference
        for name, difference in differences.items()
        if not difference < LIMITS.get(name, 1e-4)  # also where it is no number
    }
    assert not wrong, result.stdout
