"""Mask R-CNN: counts of its heads, which masks it learns from, and where they lie."""

import keras
import numpy as np
import pytest
from networks import without_weights

import kvision as kv
from kvision.models.detection import mask_rcnn, two_stage

RNG = np.random.default_rng(0)
IMAGES = np.full((2, 64, 64, 3), 100, "float32")
IMAGES[0, 6:32, 6:32] = 255, 0, 0
IMAGES[0, 26:58, 32:58] = 0, 0, 255
MASKS = np.zeros((2, 2, 64, 64), "uint8")
MASKS[0, 0, 6:32, 6:19] = MASKS[0, 1, 26:58, 32:58] = 1  # of the first the left half
TRUTH = {
    "boxes": np.array([[[6, 6, 32, 32], [26, 32, 58, 58]], [[0] * 4] * 2], "float32") / 64,
    "classes": np.array([[0, 3], [-1, -1]], "int32"),
    "masks": MASKS,
}


def tiny(**options):
    return kv.models.MaskRCNN(**{**kv.model_info("MaskRCNN").tiny, **options})


def count(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


def shapes_only(**options):
    return without_weights(lambda: kv.models.MaskRCNN(**options))


def numbers(tensor):
    return keras.ops.convert_to_numpy(tensor)


def answer(model, images):
    return {key: numbers(value) for key, value in model(images).items() if key != "raw"}


@pytest.fixture(scope="module")
def model():
    return tiny()


def test_counts():
    pyramid = shapes_only()
    assert count(pyramid.get_layer("mask_head").weights) == 2_643_280
    # Another library gives background a mask too, which nobody learns: 257 weights.
    assert count(shapes_only(classes=90).trainable_weights) == 44_454_513 - 257
    c4 = shapes_only(feature_pyramid=False)
    assert count(c4.get_layer("mask_head").weights) == 2_117_968
    assert c4.output["masks"].shape == (None, 100, 14, 14)
    assert pyramid.output["masks"].shape == (None, 100, 28, 28)


def test_conv5_of_a_resnet_carries_over():
    options = {"include_top": False, "alpha": 0.125, "input_shape": (64, 64, 3)}
    resnet = kv.models.ResNet50(blocks=(1, 1, 1, 3), **options)
    for layer in resnet.layers:  # other than fresh ones
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([RNG.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    model = tiny(backbone=resnet, input_shape=None, feature_pyramid=False, anchor_sizes=(16, 32))
    trunk = model.get_layer("region_trunk")
    conv4 = RNG.normal(size=(1, 7, 7, 128)).astype("float32")
    options["input_shape"] = (112, 112, 3)
    dense = kv.models.ResNet50(blocks=(1, 1, 1, 3), output_stride=16, **options)
    dense.set_weights(resnet.get_weights())
    for layer in dense.layers:  # dilated, where ours are not
        if isinstance(layer, keras.layers.Conv2D) and layer.name.startswith("conv5"):
            layer.dilation_rate = (1, 1)
    stage = keras.Model(dense.get_layer("conv4_x").output, dense.get_layer("conv5_x").output)
    ours = trunk(conv4[:, None])
    np.testing.assert_allclose(ours[:, 0], stage(conv4), rtol=1e-4, atol=1e-4)
    assert not any("bn" in weight.path for weight in trunk.trainable_weights)
    assert len(trunk.trainable_weights) == 10


def test_only_the_true_class_is_learned(model):
    """The gradient of the mask loss reaches the masks of classes 0 and 3, and no others."""
    tf = pytest.importorskip("tensorflow")
    layer = model.get_layer("mask_head").get_layer("masks")
    with tf.GradientTape() as tape:
        losses = model.losses_of(TRUTH, model(IMAGES, training=True))
        total = tf.reduce_sum(losses["mask_loss"])
    moved = np.abs(numbers(tape.gradient(total, layer.kernel))).sum((0, 1, 2))
    assert (moved > 0).tolist() == [True, False, False, True]
    assert float(losses["mask_loss"][0]) > 0
    assert float(losses["mask_loss"][1]) == 0


def mask_loss(model, logits, sample, truth=TRUTH):
    """The mask loss of given logits `(regions, 28, 28, classes)` of one sample."""

    class Given(mask_rcnn.MaskDetector):
        def mask_logits(self, features, answers):
            return keras.ops.convert_to_tensor(logits[None], "float32")

        def mask_features(self, features, boxes, raw):
            return features

    given = Given(model.network, regions=4 * len(logits), mask_classes=model.mask_classes)
    answers = {
        "logits": np.zeros((1, len(logits), 5), "float32"),
        "offsets": np.zeros((1, len(logits), 20), "float32"),
    }
    truth = two_stage.completed({key: value[:1] for key, value in truth.items()})
    sample = {key: np.array(value)[None] for key, value in sample.items()}
    empty = np.zeros((1, len(logits), 1))
    return float(given.region_losses(truth, sample, empty, answers, {"raw": {}})["mask_loss"][0])


SAMPLE = {
    "boxes": np.concatenate([TRUTH["boxes"][0], np.zeros((1, 4), "float32")]),
    "state": [1, 1, 0],
    "index": [0, 1, 0],
    "labels": [1, 4, 0],
}


def right_logits():
    logits = RNG.normal(size=(3, 28, 28, 4))
    logits[0, :, :14, 0], logits[0, :, 14:, 0] = 50, -50
    logits[1, ..., 3] = 50
    return logits


def test_masks_lose_nothing_at_the_truth(model):
    logits = right_logits()
    assert mask_loss(model, logits, SAMPLE) == pytest.approx(0, abs=1e-6)
    logits[0, :, :14, 0] = -50  # half of one of two masks is wrong
    assert mask_loss(model, logits, SAMPLE) == pytest.approx(50 / 4)


def test_masks_are_cut_to_the_region(model):
    """Of a region that sees the right half of the first object, nothing is the object's."""
    box = TRUTH["boxes"][0, 0] + np.array([0, 13 / 64, 0, 13 / 64], "float32")
    sample = {**SAMPLE, "boxes": np.stack([box, *SAMPLE["boxes"][1:]])}
    logits = right_logits()
    logits[0, ..., 0] = -50
    assert mask_loss(model, logits, sample) == pytest.approx(0, abs=1e-6)


def test_classes_without_masks_are_not_looked_at(model):
    some = mask_rcnn.MaskDetector(model.network, mask_classes=[3])
    logits = right_logits()
    logits[0] *= -1
    assert mask_loss(some, logits, SAMPLE) == pytest.approx(0, abs=1e-6)
    assert mask_loss(model, logits, SAMPLE) == pytest.approx(25)


@pytest.mark.parametrize("classes", [[], [-1], [1.5]])
def test_mask_classes_that_cannot_be(model, classes):
    with pytest.raises(ValueError, match="`mask_classes` must be None or whole numbers"):
        mask_rcnn.MaskDetector(model.network, mask_classes=classes)


def test_truth_without_masks(model):
    truth = {key: TRUTH[key] for key in ("boxes", "classes")}
    with pytest.raises(ValueError, match="must be fitted with truth that has 'masks'"):
        model.losses_of(truth, model(IMAGES))


def test_without_objects_the_losses_are_finite(model):
    shape = {"boxes": (2, 0, 4), "classes": (2, 0), "masks": (2, 0, 64, 64)}
    types = {"boxes": "float32", "classes": "int32", "masks": "uint8"}
    truth = {key: np.zeros(shape[key], types[key]) for key in shape}
    losses = model.losses_of(truth, model(IMAGES))
    assert float(losses["mask_loss"][0]) == 0.0
    assert all(np.isfinite(numbers(value)).all() for value in losses.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{}, {"feature_pyramid": False, "anchor_sizes": (16, 32)}],
    ids=["pyramid", "c4"],
)
def test_learns_masks_by_heart(options, tmp_path):
    model = tiny(**options)
    model.compile(keras.optimizers.Adam(3e-3, global_clipnorm=10.0))
    history = model.fit(IMAGES, TRUTH, epochs=150, batch_size=2, verbose=0).history
    assert set(history) == {"loss", *model.loss_names}
    assert history["mask_loss"][-1] < 0.15
    found = answer(model, IMAGES)
    best = np.flatnonzero(found["classes"][0] == 0)[0]
    pasted = kv.ops.masks.paste_masks(
        found["masks"][0, best : best + 1], found["boxes"][0, best : best + 1], (64, 64)
    )
    pasted = numbers(pasted)[0] >= 0.5
    overlap = (pasted & (MASKS[0, 0] == 1)).sum() / (pasted | (MASKS[0, 0] == 1)).sum()
    assert overlap > 0.6
    assert (found["masks"][found["classes"] < 0] == 0).all()
    model.save(tmp_path / "model.keras")
    loaded = answer(keras.models.load_model(tmp_path / "model.keras"), IMAGES)
    for key, value in found.items():
        np.testing.assert_array_equal(loaded[key], value)


def test_goes_over_to_other_classes(tmp_path):
    model = tiny()
    model.save(tmp_path / "model.keras")
    other = tiny(classes=6, weights=tmp_path / "model.keras")
    heads = [m.get_layer("mask_head") for m in (model, other)]
    kernels = [numbers(head.get_layer("mask_conv4").kernel) for head in heads]
    np.testing.assert_array_equal(*kernels)
    assert heads[1].get_layer("masks").filters == 6


def test_any_size_of_pictures_and_other_policies():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = tiny(input_shape=None)
        c4 = tiny(input_shape=None, feature_pyramid=False, anchor_sizes=(16, 32))
    finally:
        keras.config.set_dtype_policy(before)
    images = RNG.uniform(0, 255, (1, 75, 50, 3)).astype("float32")
    truth = {key: value[:1] for key, value in TRUTH.items()}
    for one, size in ((model, 28), (c4, 14)):
        found = one(images)
        assert tuple(found["masks"].shape) == (1, 10, size, size)
        assert keras.backend.standardize_dtype(found["masks"].dtype) == "float32"
        assert all(
            np.isfinite(numbers(loss)).all() for loss in one.losses_of(truth, found).values()
        )
