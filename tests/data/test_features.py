"""Features by their modules: a task from outside, drawn edges, and what must be said."""

import importlib
import pkgutil

import keras
import numpy as np
import pytest
import tensorflow as tf
import turning

import kvision as kv
from kvision import tasks
from kvision.data import features

L = keras.layers


@pytest.fixture
def turning_task(monkeypatch):
    """The task from outside, known for one test."""
    monkeypatch.setattr(tasks, "_tasks", list(tasks._tasks))
    monkeypatch.setattr(tasks, "_homes", list(tasks._homes))
    tasks.add(turning.TASK, "turning")
    return turning.TASK


def ell(degrees, size=(32, 48)):
    """A hook whose long arm points right, then turned by quarters."""
    picture = np.zeros((*size, 3), "uint8")
    middle = np.zeros((24, 24), "uint8")
    middle[4:20, 4:8] = middle[4:8, 4:14] = 200
    picture[4:28, 12:36] = np.rot90(middle, degrees // 90)[..., None]
    return picture


def pairs(count=24):
    angles = np.where(np.arange(count) % 2, 90.0, -90.0).astype("float32")
    return tf.data.Dataset.from_tensor_slices(
        {
            "before": np.stack([ell(0)] * count),
            "after": np.stack([ell(int(angle) % 360) for angle in angles]),
            "angle": angles,
        }
    )


def angle_seen(before, after):
    """By which of two quarters `before` must be turned to become `after`."""
    before, after = (picture[..., 4:28, 12:36, 0].astype("float32") for picture in (before, after))
    errors = {
        degrees: np.abs(np.rot90(before, degrees // 90) - after).mean() for degrees in (90, -90)
    }
    return min(errors, key=errors.get)


@pytest.mark.parametrize("task", [None, "turning", turning.TASK], ids=["found", "name", "task"])
def test_two_pictures_and_an_angle(turning_task, task):
    batches = kv.data.batches(pairs(), (16, 24, 1), 8, task=task)
    inputs, angles = next(batches.as_numpy_iterator())
    assert {name: (x.shape, x.dtype.name) for name, x in inputs.items()} == {
        "before": ((8, 16, 24, 1), "float32"),
        "after": ((8, 16, 24, 1), "float32"),
    }
    assert angles.dtype == np.float32
    assert angles.tolist() == [-90.0, 90.0] * 4  # resizing alone turns nothing


@pytest.mark.parametrize("size", [(32, 48), (64, 96)], ids=["projected", "cropped"])
def test_a_mirrored_angle_changes_its_sign(turning_task, size):
    augment = [L.RandomFlip("horizontal"), L.RandomBrightness(0.1)]
    batches = kv.data.batches(pairs(), size, 24, True, augment)
    inputs, angles = next(batches.as_numpy_iterator())
    small = {name: pixels[:, :: size[0] // 32, :: size[1] // 48] for name, pixels in inputs.items()}
    seen = [angle_seen(*both) for both in zip(small["before"], small["after"], strict=True)]
    np.testing.assert_array_equal(angles, seen)
    right = inputs["before"][:, :, : size[1] // 2].sum((1, 2, 3))
    assert len(np.unique(right > right.mean())) == 2  # some are mirrored, some not


def test_two_mirrors_and_a_turn_turn_nothing(turning_task):
    for layer in (L.RandomRotation(0.2), L.RandomTranslation(0.2, 0.2), L.RandomZoom(0.2)):
        batches = kv.data.batches(pairs(), (32, 48), 24, True, layer, shuffle=False)
        _, angles = next(batches.as_numpy_iterator())
        assert angles.tolist() == [-90.0, 90.0] * 12


def test_both_pictures_are_changed_alike(turning_task):
    same = pairs().map(lambda example: {**example, "after": example["before"]})
    augment = [L.RandomBrightness(0.5), L.RandomRotation(0.1), L.RandomErasing(1.0), L.RandomHue(1)]
    inputs, _ = next(kv.data.batches(same, (32, 48), 24, True, augment).as_numpy_iterator())
    np.testing.assert_array_equal(inputs["before"], inputs["after"])
    assert len(np.unique(inputs["before"].mean((1, 2, 3)))) > 12


def test_fit_takes_them(turning_task):
    names = turning_task.inputs
    inputs = {name: keras.Input((16, 24, 3), name=name) for name in names}
    pooled = [L.Flatten()(L.AveragePooling2D(8)(inputs[name])) for name in names]
    model = keras.Model(inputs, L.Dense(1)(L.Concatenate()(pooled)))
    model.compile("sgd", "mae")
    history = model.fit(kv.data.batches(pairs(), (16, 24), 8, task="turning"), verbose=0).history
    assert np.isfinite(history["loss"][0])


@pytest.mark.parametrize(
    ("change", "kwargs", "message"),
    [
        (lambda e: e, {"augment": [L.RandomPerspective()]}, "'angle', whose numbers follow"),
        (lambda e: e, {"target": "label"}, "must have the target 'label'"),
        (lambda e: e, {"target": "label", "task": "turning"}, "must be that of `task`, 'angle'"),
        (lambda e: e, {"task": "driving"}, "The task must be one of"),
        (lambda e: {**e, "angle": tf.cast(e["angle"], "int32")}, {}, "must be a float, in degrees"),
        (lambda e: {"before": e["before"], "angle": e["angle"]}, {}, "must yield single examples"),
        (lambda e: {"image": e["before"]}, {"task": "turning"}, "'before', 'after'"),
        (lambda e: {**e, "after": tf.cast(e["after"], "float32")}, {}, "The afters in `dataset`"),
        (lambda e: {**e, "image": e["after"], "label": 1}, {}, "Pass `task=`"),
        (lambda e: e, {"masks": True}, "`masks=True` must go with"),
        (lambda e: e, {"mosaic": 0.5}, "`mosaic` must go with"),
        (lambda e: {"image": e["after"], "label": {"a": 1}}, {}, "'label' .* whole number"),
    ],
)
def test_errors(turning_task, change, kwargs, message):
    with pytest.raises(ValueError, match=message):
        kv.data.batches(pairs().map(change), (32, 48), training=True, **kwargs)


def lines(size=(40, 60)):
    """A picture of thin white lines, and two annotators' mean of them."""
    edges = np.zeros((*size, 1), "float32")
    edges[7], edges[:, 13], edges[30, 20:50] = 1.0, 1.0, 0.5
    return np.repeat((255 * edges).astype("uint8"), 3, -1), edges


@pytest.mark.parametrize("source", ["dict", "pair", "uint8"])
def test_edges_become_what_fit_takes(source):
    image, edges = lines()
    edges = edges.astype("uint8") if source == "uint8" else edges
    example = (image, edges) if source == "pair" else {"image": image, "edges": edges}
    task = "edges" if source == "uint8" else None
    dataset = tf.data.Dataset.from_tensors(example)
    images, truth = next(kv.data.batches(dataset, (40, 60), 1, task=task).as_numpy_iterator())
    assert (images.dtype, truth.dtype) == (np.float32, np.float32)
    np.testing.assert_array_equal(truth[0], edges)
    np.testing.assert_array_equal(images[0], image)


@pytest.mark.parametrize("mode", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", [(20, 30), (17, 23), (10, 60), (53, 90), (80, 30)])
def test_lines_neither_break_nor_fade(mode, size):
    image, edges = lines()
    dataset = tf.data.Dataset.from_tensors({"image": image, "edges": edges})
    batches = kv.data.batches(dataset, size, 1, resize=mode)
    images, truth = next(batches.as_numpy_iterator())
    assert truth.shape == (1, *size, 1)
    assert set(np.unique(truth)) <= {0.0, 0.5, 1.0}
    # Wherever something of a line is in the picture, there is a line.
    assert (truth[0][images[0, ..., :1] > 200] == 1.0).all()
    whole = truth[0, ..., 0] == 1.0
    inside = whole.any(1).sum(), whole.any(0).sum()
    # Both lines reach from end to end; one of them may be cut off, beside the other, two wide.
    cut_off = {(10, 60): (10, 1), (80, 30): (2, 30)}
    if mode != "pad":
        assert inside == (cut_off.get(size, size) if mode == "crop" else size)


def test_edges_move_with_the_picture():
    image, edges = lines()
    dataset = tf.data.Dataset.from_tensors({"image": image, "edges": edges}).repeat(8)
    augment = [L.RandomFlip(), L.RandomTranslation(0.2, 0.2, fill_mode="constant")]
    batches = kv.data.batches(dataset, (40, 60), 8, True, augment, cache=False)
    images, truth = next(batches.as_numpy_iterator())
    assert np.abs(images[..., :1] / 255 - truth).mean() < 0.06
    assert truth.max() == 1.0
    assert len(np.unique(truth.argmax(1).sum((1, 2)))) > 2


def test_edges_that_do_not_fit():
    image, edges = lines()
    dataset = tf.data.Dataset.from_tensors({"image": image, "edges": edges.astype("int32")})
    with pytest.raises(ValueError, match="'edges' of an example must be float32 or uint8"):
        kv.data.batches(dataset, 32, task="edges")


def test_every_module_keeps_the_contract():
    for task in tasks.names():
        part = tasks.part("data.features", tasks.named(task).target)
        assert isinstance(part.DTYPE, tf.DType)
        assert callable(part.check)
        assert part.PLURAL
    told = features.__doc__
    for module in pkgutil.iter_modules(features.__path__):
        part = importlib.import_module(f"kvision.data.features.{module.name}")
        if not hasattr(part, "check"):
            continue  # a helper
        public = {
            name
            for name, value in vars(part).items()
            if not name.startswith("_")
            and (name.isupper() or getattr(value, "__module__", "") == part.__name__)
        }
        assert [name for name in public if f"`{name}" not in told and name != "VOID"] == []
