"""Our input pipeline beside the machine's ceiling and beside Keras's own, on a folder of JPEGs."""

import statistics
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import kvision as kv

pytestmark = pytest.mark.bench

PHOTOS, CLASSES, SHAPE, SIZE, BATCH, ROUNDS = 800, 4, (375, 500), 224, 32, 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Smooth pictures with the noise of a camera, about 60 kB each."""
    from PIL import Image

    root = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    noise = random.normal(0, 8, (4, *SHAPE, 3))
    for number in range(PHOTOS):
        coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype="uint8"))
        pixels = np.asarray(coarse.resize(SHAPE[::-1], Image.Resampling.BICUBIC))
        pixels = np.clip(np.roll(noise[number % 4], number, 0) + pixels, 0, 255).astype("uint8")
        path = root / f"class_{number % CLASSES}" / f"{number:04}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path, quality=90)
    return root


def ceiling(folder):
    """As little as can be done: read, decode, resize, batch."""

    def decode(path):
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return tf.image.resize(image, (SIZE, SIZE))

    paths = sorted(str(path) for path in folder.rglob("*.jpg"))
    dataset = tf.data.Dataset.from_tensor_slices(paths)
    return dataset.map(decode, tf.data.AUTOTUNE).batch(BATCH).prefetch(tf.data.AUTOTUNE)


def by_hand(folder, augment):
    dataset = keras.utils.image_dataset_from_directory(
        folder, image_size=(SIZE, SIZE), batch_size=BATCH, verbose=False
    )
    if augment:
        layers = keras.Sequential(kv.data.default_augmentation())
        dataset = dataset.map(lambda x, y: (layers(x, training=True), y), tf.data.AUTOTUNE)
    return dataset.prefetch(tf.data.AUTOTUNE)


def seconds(dataset):
    start = time.perf_counter()
    count = sum(tf.nest.flatten(batch)[0].shape[0] for batch in dataset)
    assert count == PHOTOS
    return time.perf_counter() - start


def test_input_pipeline(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    start = time.perf_counter()
    photos = kv.data.load(folder, "train")
    checking = time.perf_counter() - start

    def ours(augment, cache):
        return kv.data.batches(photos, SIZE, BATCH, True, augment, cache=cache)

    pipelines = {
        "ceiling": ceiling(folder),
        "streaming": ours(False, False),
        "streaming, augmented": ours(True, False),
        "Keras": by_hand(folder, False),
        "Keras, augmented": by_hand(folder, True),
    }
    for dataset in pipelines.values():
        seconds(dataset)
    times = {name: [] for name in pipelines}
    for number in range(ROUNDS):
        for name, dataset in pipelines.items():
            times[name].append(seconds(dataset))
        for name, augment in (("cached", False), ("cached, augmented", True)):
            dataset = ours(augment, "auto")
            for epoch in ("first", "later"):
                times.setdefault(f"{epoch} epoch, {name}", []).append(seconds(dataset))
        assert len(times["ceiling"]) == number + 1

    def ratio(slow, fast):
        return statistics.median(a / b for a, b in zip(times[slow], times[fast], strict=True))

    lines = [
        f"{name}: {PHOTOS / statistics.median(all_):.0f} images/s" for name, all_ in times.items()
    ]
    lines.append(f"checking the folder once: {PHOTOS / checking:.0f} images/s")
    for text, slow, fast in (
        ("ceiling (no augmentation)", "ceiling", "streaming"),
        ("ceiling (augmentation)", "ceiling", "streaming, augmented"),
        ("Keras (no augmentation, first epoch)", "Keras", "first epoch, cached"),
        ("Keras (no augmentation, later epochs)", "Keras", "later epoch, cached"),
        ("Keras (augmentation, first epoch)", "Keras, augmented", "first epoch, cached, augmented"),
        (
            "Keras (augmentation, later epochs)",
            "Keras, augmented",
            "later epoch, cached, augmented",
        ),
    ):
        lines.append(f"input pipeline / {text}: {ratio(slow, fast):.2f}")
    with capsys.disabled():
        print("\n" + "\n".join(lines))
    assert ratio("Keras, augmented", "streaming, augmented") > 1.0
