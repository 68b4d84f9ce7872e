"""Two replicas beside one device: training images a second, as a ratio from one run.

Two virtual CPU devices share the cores that one device has to itself, so a ratio near 1 is all
there is to gain here: it shows what distributing costs. Two GPUs should come near 2.
"""

import statistics
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import kvision as kv

BATCH, SIZE, STEPS, ROUNDS = 32, 96, 12, 5


def trainer(strategy, batch=BATCH):
    """A function that trains some steps and returns their images a second."""
    generator = np.random.default_rng(0)
    images = generator.uniform(0, 255, (batch, SIZE, SIZE, 3)).astype("float32")
    batches = tf.data.Dataset.from_tensors((images, np.arange(batch) % 5)).repeat()
    with strategy.scope():
        model = kv.models.MobileNetV2(classes=5, input_shape=(SIZE, SIZE, 3), alpha=0.35)
        model.compile("sgd", "sparse_categorical_crossentropy")

    ends = []
    clock = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda step, logs: ends.append(time.perf_counter())
    )

    def train():
        ends.clear()
        model.fit(batches, steps_per_epoch=STEPS, callbacks=[clock], verbose=0)
        return (STEPS - 1) * batch / (ends[-1] - ends[0])

    train()
    return train


def compare(name, first, second):
    """Prints the median ratio of two trainings that take turns."""
    rates = [(first(), second()) for _ in range(ROUNDS)]
    ratio = statistics.median(mine / theirs for mine, theirs in rates)
    print(f"\n{name}: {ratio:.2f}")
    return ratio


@pytest.mark.bench
def test_two_replicas_beside_one_device():
    two = trainer(kv.training.strategy(["CPU:0", "CPU:1"]))
    one = trainer(tf.distribute.get_strategy())
    assert compare("two replicas / one device", two, one) > 0.3


@pytest.mark.bench
def test_our_replicas_beside_the_plain_strategy():
    ours = trainer(kv.training.strategy(["CPU:0", "CPU:1"]))
    plain = trainer(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
    assert compare("our two replicas / plain MirroredStrategy", ours, plain) > 0.7


@pytest.mark.bench
def test_half_batches_beside_whole_ones():
    """What is lost where one device does in two steps what it could do in one."""
    half = trainer(tf.distribute.get_strategy(), BATCH // 2)
    whole = trainer(tf.distribute.get_strategy())
    assert compare("one device, half batches / whole batches", half, whole) > 0.3
