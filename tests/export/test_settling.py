"""The task of a model is declared, or the only one that its outputs could be of."""

import json

import keras
import numpy as np
import pytest
from keras import layers

import kvision as kv


def of_pixels(channels, name="own", activation="sigmoid"):
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(channels, 1, activation=activation)(layers.Rescaling(1 / 255)(image))
    return keras.Model(image, x, name=name)


def test_the_only_task_that_fits():
    image = keras.Input((8, 8, 3))
    classifier = keras.Model(image, layers.Dense(3)(layers.Flatten()(image)))
    assert kv.export.task_of(classifier).name == "classification"
    assert kv.export.task_of(of_pixels(3)).name == "segmentation"


def test_one_score_a_pixel_may_be_an_edge_or_a_class(tmp_path):
    model = of_pixels(1)
    with pytest.raises(ValueError, match="'segmentation' or 'edges'. Pass `task=`"):
        kv.export.task_of(model)
    for export in (kv.export.saved_model, kv.export.tflite):
        with pytest.raises(ValueError, match="Pass `task=`"):
            export(model, tmp_path / "model.tflite")
    assert kv.export.runtime.wrap(model).task is None
    assert kv.export.task_of(model, "edges").name == "edges"
    with pytest.raises(ValueError, match="must be one of .* Received: 'edge'"):
        kv.export.task_of(model, "edge")
    with pytest.raises(ValueError, match="for the task 'detection' must have such inputs"):
        kv.export.task_of(model, "detection")


def test_builders_say_what_their_networks_are_for():
    options = {"alpha": 0.125, "input_shape": (32, 32, 3)}
    assert kv.export.task_of(kv.models.HED(**options)).name == "edges"
    # The name of a network of ours on another graph says nothing.
    assert kv.export.task_of(of_pixels(3, name="hed")).name == "segmentation"


def test_files_say_it(tmp_path):
    model = of_pixels(1)
    paths = [
        kv.export.saved_model(model, tmp_path / "graph", task="edges"),
        kv.export.tflite(model, tmp_path / "model.tflite", task="edges"),
    ]
    for path in paths:
        loaded = kv.export.load(path)
        assert loaded.task == "edges"
        assert kv.export.task_of(loaded).name == "edges"
        assert kv.export.load(path, task="segmentation").task == "segmentation"
    assert kv.export.describe(paths[1]).task == "edges"
    with pytest.raises(ValueError, match="The task must be one of"):
        kv.export.load(path, task="edge")


def test_runs_say_it(tmp_path):
    of_pixels(1).save(tmp_path / "model.keras")
    loaded = kv.export.load(tmp_path)
    assert loaded.task is None
    with pytest.raises(ValueError, match="Pass `task=`"):
        kv.export.task_of(loaded)
    (tmp_path / "run.json").write_text(json.dumps({"about": {"task": "edges"}}))
    assert kv.export.load(tmp_path).task == "edges"
    (tmp_path / "card.json").write_text(json.dumps({"task": "segmentation"}))
    assert kv.export.load(tmp_path).task == "segmentation"


def test_a_proof_takes_the_task_of_the_file(tmp_path):
    model = of_pixels(1)
    images = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype("float32")
    truth = np.zeros((2, 16, 16, 1), "uint8")
    truth[:, 8] = 1
    path = kv.export.tflite(model, tmp_path / "model.tflite", task="edges")
    report = kv.export.verify(model, path, [(images, truth)])
    assert (report.task, report.metric_name) == ("edges", "ODS F-score")
    assert kv.export.verify(model, path, [(images, truth)], task="segmentation").passed
