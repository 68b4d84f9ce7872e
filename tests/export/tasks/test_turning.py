"""A task from outside kvision, of two pictures and an error in degrees, in every file."""

import keras
import numpy as np
import pytest
import turning
from keras import layers

import kvision as kv
from kvision import tasks


@pytest.fixture(autouse=True)
def turning_task(monkeypatch):
    """The task is known for the time of a test."""
    monkeypatch.setattr(tasks, "_tasks", list(tasks._tasks))
    monkeypatch.setattr(tasks, "_homes", list(tasks._homes))
    tasks.add(turning.TASK, "turning")


def build():
    """Each picture has a bright half; the angle is 90 degrees for each half more on the right."""
    pictures = {name: keras.Input((8, 8, 3), name=name) for name in ("before", "after")}
    right = layers.Conv2D(1, 8, kernel_initializer=_right_half, name="right")
    sides = [right(layers.Rescaling(1 / 255)(pictures[name])) for name in ("after", "before")]
    angle = layers.Rescaling(90.0)(layers.Flatten()(layers.Subtract()(sides)))
    return keras.Model(pictures, angle, name="turned")


def _right_half(shape, dtype=None):
    kernel = np.zeros(shape, "float32")
    kernel[:, shape[1] // 2 :] = 1 / (shape[0] * shape[1] / 2 * shape[2])
    return keras.ops.convert_to_tensor(kernel, dtype=dtype)


def examples(count=12):
    random = np.random.default_rng(0)
    brightness = random.uniform(0, 255, (2, count))
    images = [np.zeros((count, 8, 8, 3), "float32") for _ in brightness]
    for pictures, values in zip(images, brightness, strict=True):
        pictures[:, :, 4:] = values[:, None, None, None]
    angles = 90 * (brightness[1] - brightness[0]) / 255
    return dict(zip(("before", "after"), images, strict=True)), angles.astype("float32")


@pytest.fixture(scope="module")
def model():
    return build()


@pytest.mark.parametrize("kind", ["saved_model", None, "int8"])
def test_a_file_of_two_pictures(kind, model, tmp_path):
    images, angles = examples()
    swapped = {"before": images["after"], "after": images["before"]}
    if kind == "saved_model":
        path = kv.export.saved_model(model, tmp_path / "saved_model")
    else:
        both = [(images, 0), (swapped, 0)]
        path = kv.export.tflite(model, tmp_path / "model.tflite", kind, calibration=both)
    loaded = kv.export.load(path)
    assert loaded.task == "turning"
    assert loaded.input_shape == {"before": (8, 8, 3), "after": (8, 8, 3)}
    off = 2.0 if kind == "int8" else 1e-3
    np.testing.assert_allclose(loaded.predict(images, batch_size=5)[:, 0], angles, atol=off)
    np.testing.assert_allclose(loaded.predict(swapped)[:, 0], -angles, atol=off)
    report = kv.export.verify(model, path, [(images, angles + 3)])
    assert report.passed, report.reasons
    assert (report.task, report.metric_unit) == ("turning", "degrees")
    assert report.metric_model == pytest.approx(3, abs=1e-3)
    assert report.metric_file == pytest.approx(3, abs=off)
    assert report.metric_drop == pytest.approx(report.metric_file - report.metric_model)
    assert kv.export.benchmark(path, runs=2, warmup=0).median_ms > 0
    if kind == "int8":
        inputs = kv.export.describe(path).inputs
        assert sorted(tensor["name"] for tensor in inputs) == ["after", "before"]
        assert {(t["dtype"], t["scale"], t["zero_point"]) for t in inputs} == {("uint8", 1.0, 0)}


def test_an_error_that_rises_is_rejected(model, tmp_path):
    images, angles = examples()
    path = kv.export.saved_model(model, tmp_path / "saved_model")
    other = build()
    other.get_layer("right").bias.assign([0.0])
    other.get_layer("right").kernel.assign(0.5 * other.get_layer("right").kernel)
    report = kv.export.verify(other, path, [(images, angles / 2)], tolerance=1e6)
    assert not report.passed
    assert f"The mean error rises by {report.metric_drop:.2f} degrees" in report.reasons[0]
    assert report.metric_drop > 5


def test_a_large_share_of_a_small_error_is_doubted(model, tmp_path):
    images, angles = examples()
    path = kv.export.saved_model(model, tmp_path / "saved_model")
    other = build()
    other.get_layer("right").bias.assign([0.0])
    other.get_layer("right").kernel.assign(0.95 * other.get_layer("right").kernel)
    options = {"tolerance": 1e6, "max_metric_drop": 90}
    report = kv.export.verify(other, path, [(images, 0.9 * angles)], **options)
    assert report.passed, report.reasons
    assert report.doubts == ["The file adds 100% to the model's mean error."]


def test_calibration_and_inputs_must_have_the_names(model, tmp_path):
    images, _ = examples()
    with pytest.raises(ValueError, match=r"the inputs \['after', 'before'\]. Received: one input"):
        kv.export.tflite(model, tmp_path / "m.tflite", "int8", calibration=images["after"])
    loaded = kv.export.runtime.wrap(model)
    with pytest.raises(ValueError, match=r"Wanted: \['after', 'before'\]. Received: a ndarray"):
        loaded.predict(images["after"])
    with pytest.raises(ValueError, match=r"Received: \['after', 'then'\]"):
        loaded.predict({"after": images["after"], "then": images["before"]})
    with pytest.raises(ValueError, match="same number of examples. Received: .*'after': 2"):
        loaded.predict({"before": images["before"], "after": images["after"][:2]})
    with pytest.raises(ValueError, match=r"`after` must have the shape \(n, 8, 8, 3\)"):
        loaded.predict({"before": images["before"], "after": images["after"][..., 0]})
    with pytest.raises(ValueError, match=r"names of the inputs, .* Received: \['then'\]"):
        kv.export.tflite(model, tmp_path / "m.tflite", input_shape={"then": (8, 8, 3)})


def test_a_file_of_a_task_that_is_not_known_here_still_runs(model, tmp_path, monkeypatch):
    images, angles = examples()
    path = kv.export.saved_model(model, tmp_path / "saved_model")
    monkeypatch.setattr(tasks, "_tasks", tasks._tasks[:-1])
    loaded = kv.export.load(path)
    assert loaded.task == "turning"
    np.testing.assert_allclose(loaded.predict(images)[:, 0], angles, atol=1e-3)


@pytest.mark.parametrize("kind", [None, "int8"])
def test_inputs_that_are_no_pictures(kind, tmp_path):
    """A picture, a vector far beyond 0..255 and a row of words."""
    ports = {
        "image": keras.Input((8, 8, 1)),
        "vector": keras.Input((3,)),
        "words": keras.Input((2,), dtype="int32"),
    }
    image = layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 255)(ports["image"]))
    words = layers.Flatten()(layers.Embedding(5, 2)(ports["words"]))
    # What is joined shares one range of 8 bits.
    vector = layers.Rescaling(1 / 500)(ports["vector"])
    joined = layers.Concatenate()([image, vector, words])
    model = keras.Model(ports, {"first": layers.Dense(4)(joined), "second": image}, name="mixed")
    random = np.random.default_rng(0)
    inputs = {
        "image": random.integers(0, 256, (20, 8, 8, 1)),
        "vector": random.normal(0, 500, (20, 3)).astype("float32"),
        "words": random.integers(0, 5, (20, 2)).astype("int32"),
    }
    wanted = kv.export.runtime.wrap(model).predict(inputs)
    path = kv.export.tflite(model, tmp_path / "m.tflite", kind, calibration=inputs)
    loaded = kv.export.load(path)
    assert loaded.task is None
    got = loaded.predict(inputs)
    assert got.keys() == wanted.keys()
    for key in wanted:
        off = 1e-3 if kind is None else 0.05 * np.abs(wanted[key]).max()
        np.testing.assert_allclose(got[key], wanted[key], atol=off)
    types = {t["name"]: t["dtype"] for t in kv.export.describe(path).inputs}
    pixels = "uint8" if kind else "float32"
    assert types == {"image": pixels, "vector": "float32", "words": "int32"}
    assert kv.export.benchmark(path, runs=1, warmup=0).runs == 1
