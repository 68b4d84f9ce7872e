"""Mask^X R-CNN: the transfer, what it may touch, and masks of classes that never had one."""

import keras
import numpy as np
import pytest
from networks import without_weights

import kvision as kv

IMAGES = np.full((2, 64, 64, 3), 100, "float32")
IMAGES[0, 6:32, 6:32] = 255, 0, 0
IMAGES[0, 26:58, 32:58] = 0, 0, 255
MASKS = np.zeros((2, 2, 64, 64), "uint8")
MASKS[0, 0, 6:32, 6:19] = MASKS[0, 1, 26:58, 32:58] = 1
TRUTH = {
    "boxes": np.array([[[6, 6, 32, 32], [26, 32, 58, 58]], [[0] * 4] * 2], "float32") / 64,
    "classes": np.array([[0, 3], [-1, -1]], "int32"),
    "masks": MASKS,
}


def tiny(**options):
    return kv.models.MaskXRCNN(**{**kv.model_info("MaskXRCNN").tiny, **options})


def numbers(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_counts():
    model = without_weights(kv.models.MaskXRCNN)
    plain = without_weights(lambda: kv.models.MaskXRCNN(agnostic_branch=False))
    head = model.get_layer("mask_head")
    assert head.get_layer("transfer").count_params() == 1_376_768
    assert head.get_layer("agnostic").count_params() == 157_352_720
    assert model.count_params() - plain.count_params() == 157_352_720
    assert model.output["masks"].shape == (None, 100, 28, 28)


def test_mask_loss_does_not_move_the_detector():
    tf = pytest.importorskip("tensorflow")
    model = tiny()
    box, mask = model.get_layer("box_head"), model.get_layer("mask_head")
    with tf.GradientTape() as tape:
        losses = model.losses_of(TRUTH, model(IMAGES, training=True))
        total = tf.reduce_sum(losses["mask_loss"])
    names = [weight.path for weight in mask.trainable_weights]
    features = model.get_layer("conv5_2").kernel
    wanted = [box.trainable_weights, mask.trainable_weights, features]
    detector, transfer, features = tape.gradient(total, wanted)
    assert all(g is None or not np.abs(numbers(g)).any() for g in detector)
    assert "transfer1/kernel" in " ".join(names)
    assert all(np.abs(numbers(g)).any() for g in transfer)
    assert np.abs(numbers(features)).any()


def test_masks_follow_the_detector():
    """Another class's detector weights give that class's mask."""
    model = tiny(agnostic_branch=False)
    head, mask = model.get_layer("box_head"), model.get_layer("mask_head")
    features = np.random.default_rng(0).normal(size=(1, 3, 14, 14, 8)).astype("float32")
    kernels = [numbers(head.get_layer(name).kernel) for name in ("class_scores", "box_offsets")]
    first = numbers(mask([features, *kernels]))
    assert first.shape == (1, 3, 28, 28, 4)
    scores, offsets = kernels[0].copy(), kernels[1].copy().reshape(32, 5, 4)
    scores[:, [2, 4]], offsets[:, [2, 4]] = scores[:, [4, 2]], offsets[:, [4, 2]]
    second = numbers(mask([features, scores, offsets.reshape(32, 20)]))
    np.testing.assert_allclose(second, first[..., [0, 3, 2, 1]], atol=1e-5)
    assert np.abs(second - first).max() > 1e-4


def test_branch_of_all_classes_is_added_to_each():
    model = tiny()
    mask = model.get_layer("mask_head")
    features = np.random.default_rng(0).normal(size=(1, 2, 14, 14, 8)).astype("float32")
    kernels = [np.ones((32, 5), "float32"), np.ones((32, 20), "float32")]
    before = numbers(mask([features, *kernels]))
    layer = mask.get_layer("agnostic")
    shift = np.arange(784, dtype="float32")
    layer.bias.assign(layer.bias + shift)
    after = numbers(mask([features, *kernels]))
    wanted = np.broadcast_to(shift.reshape(28, 28, 1), after.shape)
    np.testing.assert_allclose(after - before, wanted, atol=1e-3)


@pytest.mark.slow
def test_learns_masks_of_some_classes_and_saves(tmp_path):
    model = tiny(mask_classes=[0])
    model.compile(keras.optimizers.Adam(3e-3, global_clipnorm=10.0))
    history = model.fit(IMAGES, TRUTH, epochs=120, batch_size=2, verbose=0).history
    assert history["mask_loss"][-1] < 0.1
    found = model.predict(IMAGES, verbose=0)
    best = np.flatnonzero(found["classes"][0] == 0)[0]
    assert found["masks"][0, best, :, :10].mean() > 0.8
    assert found["masks"][0, best, :, 18:].mean() < 0.2
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.mask_classes == [0]
    for key, value in loaded.predict(IMAGES, verbose=0).items():
        np.testing.assert_array_equal(value, found[key])
    again = tiny(mask_classes=[0], classes=6, weights=tmp_path / "model.keras")
    ours, theirs = (m.get_layer("mask_head").get_layer("transfer") for m in (again, model))
    np.testing.assert_array_equal(ours.first.kernel, theirs.first.kernel)


@pytest.mark.parametrize("classes", [[4], [-1, 2], []])
def test_mask_classes_that_cannot_be(classes):
    with pytest.raises(ValueError, match="`mask_classes` must be"):
        tiny(mask_classes=classes)
