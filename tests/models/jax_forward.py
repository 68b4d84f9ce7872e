"""Run with KERAS_BACKEND=jax: builds every model and compares with stored outputs.

One model is read from its `.keras` file. The others get their weights as arguments, because
initialising them all, shape by shape, takes JAX minutes.
"""

import sys
from pathlib import Path

import jax
import keras
import numpy as np

import kvision as kv
import kvision.models  # registers the layers for reading files

for folder in sorted(Path(sys.argv[1]).iterdir()):
    arrays = np.load(folder / "arrays.npz")
    images = arrays["images"]
    if (folder / "model.keras").exists():
        model = keras.models.load_model(folder / "model.keras", compile=False)
        outputs = model(images)
    else:
        with keras.StatelessScope(initialize_variables=False):
            model = kv.build_model(folder.name, **kv.model_info(folder.name).tiny)
        weights = {id(w): arrays[f"weight_{i}"] for i, w in enumerate(model.weights)}
        state = [
            [weights.get(id(v), np.zeros(v.shape, v.dtype)) for v in variables]  # or a seed's state
            for variables in (model.trainable_variables, model.non_trainable_variables)
        ]
        outputs, _ = jax.jit(model.stateless_call)(*state, images)
    outputs = keras.tree.flatten(outputs["raw"] if isinstance(outputs, dict) else outputs)
    differences = [
        np.abs(np.asarray(output) - arrays[f"output_{i}"]).max() for i, output in enumerate(outputs)
    ]
    print(folder.name, keras.backend.backend(), max(differences))
