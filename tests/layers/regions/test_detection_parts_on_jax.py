"""The parts of detectors give the same on the JAX backend, compiled, as on TensorFlow."""

import os
import subprocess
import sys

import keras
import numpy as np

CODE = """
import sys
import keras, numpy as np
import kvision as kv

def inputs():
    random = np.random.default_rng(0)
    corners = random.uniform(0, 1, (2, 300, 2, 2))
    boxes = np.concatenate([corners.min(2), corners.max(2)], -1).astype("float32")
    scores = random.uniform(0, 1, (2, 300, 3)).astype("float32")
    return boxes, scores, random.normal(size=(2, 12, 16, 4)).astype("float32")

def parts(boxes, scores, features):
    ops, layers = kv.ops, kv.layers
    image = keras.ops.zeros((2, 96, 128, 3))
    coarse = features[:, ::2, ::2]
    truths, anchors = boxes[:, :9], boxes[0, 9:]
    iou = ops.boxes.iou(anchors, truths)
    index, state = ops.matching.match(iou, 0.4, 0.3)
    pairs = ops.matching.match(iou, 0.4, 0.3, force="bipartite")
    kept = ops.matching.balanced_sample(state, 64, 0.25, seed=1)
    soft = ops.suppression.soft_suppress(boxes, scores[..., 0], most=20)
    code = ops.boxes.encode(ops.matching.take_matched(truths, index), anchors)
    levels = [layers.Anchors([[(16, 32)], [(32, 32)]])([image, features, coarse])]
    levels.append(layers.RoIAlign(3, canonical_size=60)([[features, coarse], boxes, image]))
    found = layers.Detections(score_threshold=0.5)([boxes, scores])
    proposals = layers.Proposals(after=50)([scores[:, 9:, 0] * 9, code * 0.1, anchors, image])
    return [
        index, state, *pairs, *soft, code, *levels, proposals, *found.values(),
        ops.boxes.giou(truths, anchors), keras.ops.sum(keras.ops.abs(kept + 1), axis=1),
        layers.RoIPool(3)([features, boxes]), layers.RoIAlign(3)([features, boxes]),
        layers.SpatialPyramidPooling()(features),
    ]
"""
MAIN = """
import jax
assert keras.backend.backend() == "jax"
found = jax.jit(parts)(*inputs())
assert all(np.isfinite(each).all() for each in found)
boxes, scores, features = inputs()
pool = lambda x: (kv.layers.RoIPool(3)([x, boxes]) ** 2).sum()
align = lambda x: (kv.layers.RoIAlign(3)([x, boxes]) ** 2).sum()
gradients = [jax.grad(each)(features) for each in (pool, align)]
assert all(np.isfinite(each).all() and np.any(each) for each in gradients)
np.savez(sys.argv[1], *found)
"""


def test_on_jax(tmp_path):
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    path = tmp_path / "found.npz"
    command = [sys.executable, "-c", CODE + MAIN, str(path)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    here = {}
    exec(compile(CODE, "parts", "exec"), here)
    expected = [keras.ops.convert_to_numpy(each) for each in here["parts"](*here["inputs"]())]
    with np.load(path) as theirs:
        assert len(theirs.files) == len(expected) > 15
        for name, values in zip(theirs.files, expected, strict=True):
            np.testing.assert_allclose(theirs[name], values, atol=1e-5, rtol=1e-5, err_msg=name)
