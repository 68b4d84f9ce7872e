"""Our augmentation layers inside a model on the JAX backend, compiled and trained."""

import os
import subprocess
import sys

CODE = """
import keras, numpy as np
from kvision.layers import RandomBoxCrop, RandomScaleJitter, RandomZoomOut
from kvision.layers.augmentation.random_elastic_deformation import RandomElasticDeformation
from kvision.layers.augmentation.random_illumination import RandomIllumination
from kvision.layers.augmentation.random_lens_distortion import RandomLensDistortion
assert keras.backend.backend() == "jax"
images = np.random.default_rng(0).uniform(0, 255, (8, 12, 16, 3)).astype("float32")
layers = [
    RandomIllumination(0.5, seed=1),
    RandomLensDistortion(0.2, seed=1, bounding_box_format="xyxy"),
    RandomElasticDeformation(1.0, seed=1, bounding_box_format="xyxy"),
    RandomBoxCrop(seed=1, bounding_box_format="xyxy"),
    RandomScaleJitter(seed=1, bounding_box_format="xyxy"),
    RandomZoomOut(seed=1, bounding_box_format="xyxy"),
]
model = keras.Sequential([keras.Input((12, 16, 3)), *layers, keras.layers.GlobalMaxPooling2D()])
np.testing.assert_allclose(model.predict(images, verbose=0), images.max((1, 2)), rtol=1e-5)
assert np.abs(np.asarray(model(images, training=True)) - images.max((1, 2))).max() > 1
model.add(keras.layers.Dense(1))
model.compile("sgd", "mse")
model.fit(images, np.zeros(8), epochs=2, verbose=0)
boxes = {"boxes": np.array([[[2.0, 2, 14, 10]]] * 8, "float32"), "labels": np.ones((8, 1))}
for layer in layers[1:]:
    data = layer({"images": images, "bounding_boxes": boxes}, training=True)
    assert data["bounding_boxes"]["boxes"].shape == (8, 1, 4)
print("done")
"""


def test_on_jax():
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    result = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True
    )
    assert result.stdout.endswith("done\n"), result.stderr[-3000:]
