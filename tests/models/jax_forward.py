"""Run with KERAS_BACKEND=jax: loads each model of a folder and compares with stored outputs."""

import sys
from pathlib import Path

import keras
import numpy as np

import kvision.models  # noqa: F401  registers the layers

for folder in sorted(Path(sys.argv[1]).iterdir()):
    model = keras.models.load_model(folder / "model.keras", compile=False)
    images, expected = np.load(folder / "images.npy"), np.load(folder / "outputs.npy")
    difference = np.abs(np.asarray(model(images)) - expected).max()
    print(folder.name, keras.backend.backend(), difference)
