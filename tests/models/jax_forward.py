"""Run with KERAS_BACKEND=jax: builds every model and compares with stored outputs.

One of each kind is read from its `.keras` file. The others get their weights as arguments, because
initialising them all, shape by shape, takes JAX minutes.
"""

import sys
from pathlib import Path

import jax
import keras
import numpy as np

import kvision as kv
import kvision.models  # registers the layers for reading files
from kvision.zoo.skeletons import without_weights

for folder in sorted(Path(sys.argv[1]).iterdir()):
    arrays = np.load(folder / "arrays.npz")
    inputs = arrays["image"]
    if "proposals" in arrays:
        inputs = {"image": inputs, "proposals": arrays["proposals"]}
    if (folder / "model.keras").exists():
        model = keras.models.load_model(folder / "model.keras", compile=False)
        if isinstance(model.output, dict):
            found = model.predict(inputs, verbose=0)
            assert set(found) == {"boxes", "classes", "scores"}, sorted(found)
            model = keras.Model(model.input, model.output["raw"])
        outputs = model(inputs)
    else:
        model = without_weights(kv.build_model, folder.name, **kv.model_info(folder.name).tiny)
        weights = {id(w): arrays[f"weight_{i}"] for i, w in enumerate(model.weights)}
        if isinstance(model.output, dict):  # suppression takes long to compile
            model = keras.Model(model.input, model.output["raw"])
        state = [
            [weights.get(id(v), np.zeros(v.shape, v.dtype)) for v in variables]  # or a seed's state
            for variables in (model.trainable_variables, model.non_trainable_variables)
        ]
        outputs, _ = jax.jit(model.stateless_call)(*state, inputs)
    outputs = keras.tree.flatten(outputs)
    differences = [
        np.abs(np.asarray(output) - arrays[f"output_{i}"]).max() for i, output in enumerate(outputs)
    ]
    print(folder.name, keras.backend.backend(), max(differences))
