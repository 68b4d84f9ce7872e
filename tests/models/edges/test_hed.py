"""Facts of the paper and of the authors' Caffe network, computed another way."""

import keras
import numpy as np
import pytest
from networks import without_weights
from receptive import receptive_field

import kvision as kv

STRIDES = (1, 2, 4, 8, 16)
TINY = {"alpha": 1 / 64, "input_shape": (None, None, 3)}


def count(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


def test_counts_and_sizes():
    model = without_weights(lambda: kv.models.HED(input_shape=(321, 481, 3)))
    assert count(model.trainable_weights) == 14_716_171
    assert count(model.non_trainable_weights) == 1_364
    assert model.output_shape == (None, 321, 481, 1)
    offsets = [model.get_layer(f"crop_side{side}").offset for side in range(1, 6)]
    assert offsets == [34, 35, 36, 38, 42]


def test_receptive_fields_of_the_sides():
    model = kv.models.HED(**TINY)
    names = ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3")
    assert [receptive_field(model, name) for name in names] == [5, 14, 40, 92, 196]  # Table 1


@pytest.mark.parametrize("side", range(1, 6))
def test_each_side_lies_where_the_picture_is(side):
    """A ramp comes out as the same ramp, moved by what its pooling windows take."""
    model = kv.models.HED(
        **TINY, include_preprocessing=False, classifier_activation=None, side_outputs=True
    )
    for layer in model.layers:
        if layer.name.startswith(("conv", "score_side")) and layer.weights:
            kernel = np.zeros(layer.kernel.shape, "float32")
            kernel[kernel.shape[0] // 2, kernel.shape[1] // 2, 0, 0] = 1.0
            layer.set_weights([kernel, np.zeros(layer.bias.shape, "float32")])
    side_length = 16 * 13 - 68  # with its border a multiple of 16
    ramp = np.arange(side_length, dtype="float32")
    rising = np.broadcast_to(ramp[:, None, None], (1, side_length, side_length, 3)).copy()
    for picture in (rising, rising.transpose(0, 2, 1, 3).copy()):
        inside = (slice(24, -24), slice(24, -24))
        for turned in (picture, picture[:, ::-1, ::-1].copy()):
            output = np.asarray(model(turned)[f"side{side}"])[0, ..., 0]
            error = (output - turned[0, ..., 0])[inside]
            np.testing.assert_allclose(error, (STRIDES[side - 1] - 1) / 2, atol=1e-3)


def test_the_fusion_begins_as_the_mean():
    model = kv.models.HED(**TINY, side_outputs=True, classifier_activation=None)
    for side in range(1, 6):
        layer = model.get_layer(f"score_side{side}")
        layer.kernel.assign(keras.random.normal(layer.kernel.shape, seed=side))
    outputs = model(np.random.default_rng(0).uniform(0, 255, (1, 40, 50, 3)).astype("float32"))
    outputs = {key: np.asarray(value) for key, value in outputs.items()}
    assert list(outputs) == ["side1", "side2", "side3", "side4", "side5", "fuse"]
    mean = np.mean([outputs[f"side{side}"] for side in range(1, 6)], axis=0)
    assert mean.std() > 1e-3
    np.testing.assert_allclose(outputs["fuse"], mean, rtol=1e-4, atol=1e-4)


def test_one_network_with_and_without_side_outputs(tmp_path):
    both = kv.models.HED(**TINY, side_outputs=True)
    both.get_layer("score_side2").kernel.assign(np.full((1, 1, 2, 1), 0.02))
    both.save(tmp_path / "model.keras")
    fused = kv.models.HED(**TINY, weights=tmp_path / "model.keras")
    picture = np.random.default_rng(0).uniform(0, 255, (1, 33, 47, 3)).astype("float32")
    edges = np.asarray(fused(picture))
    assert edges.shape == (1, 33, 47, 1)
    assert edges.std() > 0
    np.testing.assert_array_equal(edges, np.asarray(both(picture)["fuse"]))


@pytest.mark.parametrize("include_top", [True, False])
def test_weights_of_vgg16(include_top):
    vgg = kv.models.VGG16(include_top=include_top, alpha=1 / 64)
    model = kv.models.HED(vgg, **TINY)
    for stage, depth in enumerate((2, 2, 3, 3, 3), 1):
        for index in range(1, depth + 1):
            name = f"conv{stage}_{index}"
            for theirs, ours in zip(
                vgg.get_layer(name).weights, model.get_layer(name).weights, strict=True
            ):
                np.testing.assert_array_equal(np.asarray(theirs), np.asarray(ours))


def test_six_losses_train_every_weight():
    model = kv.models.HED(**TINY, side_outputs=True)
    for layer in model.layers:  # one filter a layer is easily dead
        if layer.name.startswith("conv") and layer.weights:
            layer.kernel.assign(np.abs(np.asarray(layer.kernel)))
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    masks = (images[..., :1] > 200).astype("uint8")
    loss = kv.losses.BalancedBinaryCrossentropy()
    keys = [f"side{side}" for side in range(1, 6)] + ["fuse"]
    model.compile("adam", dict.fromkeys(keys, loss))
    losses = [model.train_on_batch(images, dict.fromkeys(keys, masks)) for _ in range(3)]
    assert np.isfinite(losses).all()
    before = [np.asarray(weight) for weight in model.trainable_weights]
    model.train_on_batch(images, dict.fromkeys(keys, masks))
    moved = [
        not np.array_equal(old, np.asarray(new))
        for old, new in zip(before, model.trainable_weights, strict=True)
    ]
    assert all(moved)


def test_wrong_options():
    with pytest.raises(ValueError, match="'sigmoid' or None in `HED`. Received: 'softmax'"):
        kv.models.HED(classifier_activation="softmax")
    for wrong in (kv.models.VGG19(alpha=1 / 64), kv.models.AlexNet(alpha=1 / 64), "VGG16"):
        with pytest.raises(ValueError, match="`backbone` of `HED` must be a `VGG16`"):
            kv.models.HED(wrong, **TINY)
    with pytest.raises(ValueError, match=r"must be \(height, width, channels\)"):
        kv.models.HED(input_shape=(32, 32))
