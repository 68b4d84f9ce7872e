"""`batches`: shapes, sizes, order, epochs, caches, and what `fit` sees."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kvision as kv
from kvision.data import memory, pipeline


def numbered(count=20, size=(6, 8), channels=3):
    """Images that hold their own number, which is also the label."""
    numbers = np.arange(count)
    images = np.broadcast_to(numbers[:, None, None, None], (count, *size, channels)).astype("uint8")
    return tf.data.Dataset.from_tensor_slices({"image": images, "label": numbers})


def labels(batches):
    return np.concatenate([y for _, y in batches.as_numpy_iterator()]).tolist()


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("image_size", [5, (5, 7), (16, 9, 1), (16, 9, 3)])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_fit_takes(training, image_size, channels):
    batches = kv.data.batches(numbered(channels=channels), image_size, 8, training)
    height, width = (image_size,) * 2 if isinstance(image_size, int) else image_size[:2]
    depth = image_size[2] if isinstance(image_size, tuple) and len(image_size) == 3 else channels
    assert batches.element_spec[0].shape.as_list() == [None, height, width, depth]
    assert len(batches) == 3
    sizes = []
    for images, numbers in batches:
        assert images.dtype == tf.float32
        assert numbers.dtype == tf.int64
        sizes.append(len(images))
        np.testing.assert_array_equal(images[:, 0, 0, 0], numbers)
        np.testing.assert_array_equal(images, images[:, :1, :1, :1] + tf.zeros_like(images))
    assert sizes == [8, 8, 4]
    assert sorted(labels(batches)) == list(range(20))


def test_order():
    assert labels(kv.data.batches(numbered(), 6, 8)) == list(range(20))
    assert labels(kv.data.batches(numbered(), 6, 8, True, shuffle=False)) == list(range(20))
    assert labels(kv.data.batches(numbered(), 6, 8, True)) != list(range(20))
    assert labels(kv.data.batches(numbered(), 6, 8, shuffle=True)) != list(range(20))


def test_drop_remainder():
    batches = kv.data.batches(numbered(), 6, 8, drop_remainder=True)
    assert len(batches) == 2
    assert batches.element_spec[0].shape[0] == 8
    assert labels(batches) == list(range(16))


@pytest.mark.parametrize("cache", [True, False, "auto"])
def test_epochs_follow_seed_and_number_alone(clean_folder, cache):
    """Whoever begins with epoch k sees what those see who came through all before."""
    augment = [keras.layers.RandomBrightness(0.3), keras.layers.RandomFlip()]

    def run(dataset, count, **kwargs):
        batches = kv.data.batches(dataset, 6, 8, True, augment, seed=4, cache=cache, **kwargs)
        return [list(batches.as_numpy_iterator()) for _ in range(count)]

    def check(left, right):
        for (x, y), (u, v) in zip(left, right, strict=True):
            np.testing.assert_array_equal(x, u)
            np.testing.assert_array_equal(y, v)

    for dataset in (numbered(), kv.data.load(clean_folder, "train")):
        epochs = run(dataset, 3)
        keras.utils.set_random_seed(12)
        check(run(dataset, 1, first_epoch=2)[0], epochs[2])
        orders = {tuple(np.concatenate([y for _, y in epoch]).tolist()) for epoch in epochs}
        assert len(orders) == 3
        endless = kv.data.batches(
            dataset, 6, 5, True, augment, seed=4, cache=cache, first_epoch=1, repeat=True
        )
        assert endless.cardinality() == tf.data.INFINITE_CARDINALITY
        images = np.concatenate([x for x, _ in endless.take(8).as_numpy_iterator()])
        np.testing.assert_array_equal(images[:20], np.concatenate([x for x, _ in epochs[1]]))
        np.testing.assert_array_equal(images[20:], np.concatenate([x for x, _ in epochs[2]]))


def test_order_is_the_same_with_and_without_cache(clean_folder):
    dataset = kv.data.load(clean_folder, "train")
    orders = [
        [x.sum(axis=(1, 2, 3)).tolist() for x, _ in batches.as_numpy_iterator()]
        for batches in (
            kv.data.batches(dataset, 6, 8, True, True, cache=True),
            kv.data.batches(dataset, 6, 8, True, True, cache=False),
            # What was changed on the way is shuffled as pictures, not as rows.
            kv.data.batches(dataset.map(lambda e: e), 6, 8, True, True, cache=False),
        )
    ]
    assert orders[0] == orders[1] == orders[2]


def test_seeds_differ():
    assert labels(kv.data.batches(numbered(), 6, 8, True, seed=1)) != labels(
        kv.data.batches(numbered(), 6, 8, True, seed=2)
    )
    with_global_seed = []
    for seed in (0, 1):
        keras.utils.set_random_seed(seed)
        with_global_seed.append(labels(kv.data.batches(numbered(), 6, 8, True)))
    assert with_global_seed[0] == with_global_seed[1]


def counted(dataset, path):
    """`dataset`, writing a byte for every example that is really read."""

    def write(number):
        with open(path, "ab") as file:
            file.write(b".")
        return number

    def note(example):
        number = tf.numpy_function(write, [example["label"]], tf.int64)
        return {**example, "label": tf.ensure_shape(number, ())}

    return dataset.map(note)


@pytest.mark.parametrize("cache", [True, False])
def test_cache_reads_once(tmp_path, cache):
    batches = kv.data.batches(counted(numbered(), tmp_path / "n"), 6, 8, True, cache=cache)
    for _ in batches.take(1):
        pass  # broken off, as Keras does to look at the shapes
    for _ in range(3):
        assert sorted(labels(batches)) == list(range(20))
    assert (tmp_path / "n").stat().st_size == (20 if cache else 80)


def test_caches_what_fits(tmp_path, monkeypatch):
    for free, reads in ((20 * 6 * 6 * 3 * 4, 20), (20 * 6 * 6 * 3 * 4 - 4, 40)):
        path = tmp_path / str(free)
        monkeypatch.setattr(pipeline, "available_memory", lambda free=free: free)
        batches = kv.data.batches(counted(numbered(), path), 6, 8)
        assert labels(batches) == labels(batches)
        assert path.stat().st_size == reads


def test_large_sets_are_shuffled_in_a_buffer(monkeypatch):
    monkeypatch.setattr(pipeline, "_SHUFFLE_BYTES", 5 * 6 * 6 * 3)
    order = labels(kv.data.batches(numbered().map(lambda e: e), 6, 8, True, cache=False))
    assert sorted(order) == list(range(20))
    assert order[0] < 5
    assert order != list(range(20))


def test_unknown_length():
    dataset = numbered().filter(lambda example: example["label"] % 2 == 0)
    batches = kv.data.batches(dataset, 6, 4, True, True)
    assert batches.cardinality() == tf.data.UNKNOWN_CARDINALITY
    assert sorted(labels(batches)) == list(range(0, 20, 2))


def test_pairs_and_images_alone():
    pairs = numbered().map(lambda example: (example["image"], example["label"]))
    assert labels(kv.data.batches(pairs, 6, 8)) == list(range(20))
    images = numbered().map(lambda example: {"image": example["image"], "file": "x"})
    batches = kv.data.batches(images, (4, 4, 1), 20)
    np.testing.assert_array_equal(next(batches.as_numpy_iterator())[:, 0, 0, 0], np.arange(20))


def detections():
    def example(number):
        boxes = tf.tile([[0.25, 0.0, 0.75, 0.5]], (number + 1, 1))
        return {
            "image": tf.zeros((8, 12, 3), tf.uint8),
            "objects": {
                "bbox": boxes,
                "label": tf.fill((number + 1,), number),
                "is_crowd": tf.zeros((number + 1,), tf.bool),
            },
            "image/id": number,
        }

    return tf.data.Dataset.range(3).map(lambda n: example(tf.cast(n, tf.int32)))


@pytest.mark.parametrize("max_boxes", [None, 2])
@pytest.mark.parametrize("training", [False, True])
def test_boxes_are_padded(training, max_boxes):
    batches = kv.data.batches(detections(), 64, 3, training, True, max_boxes=max_boxes)
    _, truth = next(batches.as_numpy_iterator())
    most = max_boxes or 3
    boxes, classes = truth["boxes"], truth["classes"]
    assert boxes.shape == (3, most, 4)
    assert boxes.dtype == np.float32
    assert sorted((classes >= 0).sum(1).tolist()) == [1, 2, min(3, most)]
    assert (boxes[classes < 0] == 0).all()
    assert (boxes[classes >= 0][:, 2:] > boxes[classes >= 0][:, :2]).all()
    if not training:
        np.testing.assert_allclose(
            boxes[1], np.array([[0.25, 0, 0.75, 0.5]] * 2 + [[0] * 4])[:most]
        )
        if max_boxes:
            assert batches.element_spec[1]["boxes"].shape[1] == 2


def test_fit_evaluate_and_predict():
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10, "softmax")]
    )
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    train = kv.data.batches(
        kv.data.load("digits", "train[:100]"), model.input_shape[1:], 32, training=True
    )
    test = kv.data.batches(kv.data.load("digits", "test[:50]"), model.input_shape[1:], 32)
    history = model.fit(train, validation_data=test, epochs=2, verbose=0)
    assert len(history.history["val_loss"]) == 2
    expected = labels(test)
    predicted = model.predict(test, verbose=0).argmax(-1)
    accuracy = model.evaluate(test, return_dict=True, verbose=0)["accuracy"]
    assert accuracy == pytest.approx(np.mean(predicted == expected))


def test_resumed_fit_sees_the_same_epochs_under_mirrored_strategy():
    """Also where Keras looks at a batch before the first epoch."""

    def run(first, epochs):
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        with strategy.scope():
            model = keras.Sequential([keras.Input((6, 6, 3)), keras.layers.Flatten()])
            model.add(keras.layers.Dense(1, use_bias=False, kernel_initializer="ones"))
            model.compile(keras.optimizers.SGD(0.0), "mse")
            batches = kv.data.batches(
                numbered().map(lambda e: {**e, "label": e["label"] * 0}),
                6,
                10,
                True,
                [keras.layers.RandomBrightness((0.0, 0.5))],
                first_epoch=first,
            )
        return model.fit(batches, initial_epoch=first, epochs=epochs, verbose=0).history["loss"]

    whole = run(0, 3)
    assert len(set(whole)) == 3
    np.testing.assert_allclose(run(1, 3), whole[1:], rtol=1e-6)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"image_size": (None, None, 3)}, "without None"),
        ({"image_size": 0}, "whole number of pixels"),
        ({"image_size": True}, "whole number of pixels"),
        ({"image_size": (4,)}, "whole number of pixels"),
        ({"image_size": "big"}, "whole number of pixels"),
        ({"image_size": (4, 4, 2)}, "must be 1 \\(grey\\) or 3"),
        ({"image_size": (4, 4, 1), "channels": 3}, "must agree"),
        ({"channels": 4}, "must be 1 \\(grey\\) or 3"),
        ({"batch_size": 0}, "`batch_size`"),
        ({"resize": "squash"}, "`resize` must be one of"),
        ({"cache": "yes"}, "`cache`"),
        ({"seed": -1}, "`seed`"),
        ({"first_epoch": 1.5}, "`first_epoch`"),
        ({"max_boxes": 0}, "`max_boxes`"),
    ],
)
def test_errors(kwargs, message):
    with pytest.raises(ValueError, match=message):
        kv.data.batches(numbered(), **{"image_size": 6, **kwargs})


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (numbered().map(lambda e: e["image"]), "must yield single examples"),
        (numbered().map(lambda e: {"label": e["label"]}), "must yield single examples"),
        (numbered().batch(2), "unbatched uint8"),
        (numbered().map(lambda e: (tf.cast(e["image"], tf.float32), 0)), "unbatched uint8"),
        (numbered(channels=4), "Received: shape \\(6, 8, 4\\)"),
    ],
)
def test_elements_that_do_not_fit(dataset, message):
    with pytest.raises(ValueError, match=message):
        kv.data.batches(dataset, 6)


def test_memory_is_what_is_left(monkeypatch, tmp_path):
    assert 2**20 < memory.available_memory() < 2**50
    monkeypatch.setattr(memory, "_container_memory", lambda: 1000)
    assert memory.available_memory() == 1000
    monkeypatch.undo()
    group = tmp_path / "cgroup"
    group.mkdir()
    monkeypatch.setattr(memory, "_CONTAINER", group)
    assert memory._container_memory() is None
    (group / "memory.max").write_text("5000\n")
    (group / "memory.current").write_text("1500\n")
    assert memory.available_memory() == 3500
    (group / "memory.max").write_text("max\n")
    assert memory._container_memory() is None
