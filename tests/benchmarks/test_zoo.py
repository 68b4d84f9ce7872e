"""Our networks beside the same ones of keras.applications: one forward pass, one training step.

Both take pixels 0..255: ours normalise them inside; theirs get the layers that their
`preprocess_input` stands for. The bare networks, without any, are compared as well.
"""

import statistics
import time

import keras
import numpy as np
import pytest

import kvision as kv

pytestmark = pytest.mark.bench

ROUNDS = 7
# Side, images of a forward pass, images of a training step.
LOADS = {
    "VGG16": (128, 4, 2),
    "ResNet50": (160, 8, 4),
    "InceptionV3": (160, 8, 4),
    "MobileNetV2": (160, 16, 8),
}
CAFFE = ("VGG16", "ResNet50")


def ours(name, shape, bare):
    return kv.build_model(name, input_shape=shape, include_preprocessing=not bare)


def theirs(name, shape, bare):
    """keras.applications' network; unless bare behind the layers that normalise its pixels."""
    network = getattr(keras.applications, name)(input_shape=shape, weights=None)
    if bare:
        return network
    inputs = keras.Input(shape)
    if name in CAFFE:
        x = keras.layers.Rescaling(1.0, offset=[-123.68, -116.779, -103.939])(inputs)
        x = keras.ops.flip(x, axis=-1)
    else:
        x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    return keras.Model(inputs, network(x))


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def in_turns(mine, peer, rounds=ROUNDS):
    """The median ratio of two calls that take turns, theirs / ours, and our median seconds."""
    pairs = []
    for number in range(rounds + 2):
        calls = (mine, peer) if number % 2 else (peer, mine)
        times = {call: seconds(call) for call in calls}
        pairs.append((times[mine], times[peer]))
    pairs = pairs[2:]  # tracing and warming up
    ratio = statistics.median(peer_time / my_time for my_time, peer_time in pairs)
    return ratio, statistics.median(my_time for my_time, _ in pairs)


@pytest.mark.parametrize("bare", [False, True], ids=["pixels", "bare"])
@pytest.mark.parametrize("name", LOADS)
def test_forward_and_training_step(name, bare, capsys):
    side, batch, training_batch = LOADS[name]
    models = [build(name, (side, side, 3), bare) for build in (ours, theirs)]
    random = np.random.default_rng(0)
    images = random.uniform(0, 255, (batch, side, side, 3)).astype("float32")
    labels = random.integers(0, 1000, training_batch)
    for model in models:
        model.compile("sgd", "sparse_categorical_crossentropy")

    def forward(model):
        return lambda: model.predict_on_batch(images)

    def step(model):
        return lambda: model.train_on_batch(images[:training_batch], labels)

    kind = "bare" if bare else "with normalisation"
    for text, call, count in (
        ("forward", forward, batch),
        ("training step", step, training_batch),
    ):
        ratio, mine = in_turns(*map(call, models))
        with capsys.disabled():
            print(
                f"\n{name} {kind}, {text}, keras.applications / ours: {ratio:.2f} "
                f"({mine * 1e3:.0f} ms, {count} images of {side}x{side})"
            )
        assert ratio > 0.8, "far slower than keras.applications"
    keras.backend.clear_session()


@pytest.mark.parametrize("name", ["ResNet152", "InceptionV4"])
def test_building(name, capsys):
    """Our residual networks draw He's normal kernels, which takes longer than Glorot's uniform."""
    ratio, mine = in_turns(
        lambda: kv.build_model(name),
        lambda: keras.applications.ResNet152(weights=None),
        rounds=3,
    )
    with capsys.disabled():
        print(f"\nbuilding, keras.applications' ResNet152 / our {name}: {ratio:.2f} ({mine:.1f} s)")
    assert mine < 30
