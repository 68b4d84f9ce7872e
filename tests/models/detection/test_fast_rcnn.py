"""Fast R-CNN and SPP-net: regions come from outside."""

import keras
import numpy as np
import pytest
from networks import without_weights

import kvision as kv

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0, 255, (2, 64, 64, 3)).astype("float32")
LOW = RNG.uniform(0, 0.6, (2, 12, 2))
PROPOSALS = np.concatenate([LOW, LOW + RNG.uniform(0.2, 0.4, (2, 12, 2))], -1).astype("float32")
INPUTS = {"image": IMAGES, "proposals": PROPOSALS}
TRUTH = {
    "boxes": np.array([[[0.1, 0.1, 0.5, 0.5], [0.5, 0.4, 0.9, 0.9]], [[0] * 4] * 2], "float32"),
    "classes": np.array([[0, 3], [-1, -1]], "int32"),
}


def tiny(name, **options):
    return kv.build_model(name, **{**kv.model_info(name).tiny, **options})


def count(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


def shapes_only(name, **options):
    return without_weights(lambda: kv.build_model(name, **options))


def numbers(tensor):
    return keras.ops.convert_to_numpy(tensor)


def answer(model, inputs):
    """What `predict` gives, without tracing a graph for it."""
    return {key: numbers(value) for key, value in model(inputs).items() if key != "raw"}


@pytest.mark.parametrize(("classes", "parameters"), [(20, 134_690_729), (80, 135_919_829)])
def test_counts(classes, parameters):
    model = shapes_only("FastRCNN", classes=classes)
    assert count(model.trainable_weights) == parameters
    fixed = [layer for layer in model.layers if layer.name.startswith(("conv1", "conv2"))]
    assert sum(count(layer.weights) for layer in fixed) == 260_160


def test_spp_net_is_zf5_and_fifty_bins():
    """The count of the classifier that the paper starts from: 1000 scores, and no boxes."""
    model = shapes_only("SPPNet", classes=999)
    boxes = model.get_layer("box_head").get_layer("box_offsets")
    assert model.count_params() - count(boxes.weights) == 77_037_672
    assert model.get_layer("region_pool").output.shape[-1] == 50 * 256


def test_convolutions_of_spp_net_are_fixed():
    fixed, learning = tiny("SPPNet"), tiny("SPPNet", trainable_backbone=True)
    assert {weight.path.split("/")[0] for weight in fixed.trainable_weights} <= {
        "fc6",
        "fc7",
        "class_scores",
        "box_offsets",
    }
    assert len(learning.trainable_weights) == len(fixed.trainable_weights) + 10


@pytest.mark.slow
@pytest.mark.parametrize("name", ["FastRCNN", "SPPNet"])
def test_learns_its_regions(name):
    model = tiny(name, trainable_backbone=True) if name == "SPPNet" else tiny(name)
    model.compile(keras.optimizers.Adam(3e-3))
    history = model.fit(INPUTS, TRUTH, epochs=60, batch_size=2, verbose=0).history
    assert set(history) == {"loss", "class_loss", "box_loss"}
    assert history["class_loss"][0] > 1.0
    assert history["class_loss"][-1] < 0.3
    # A region where the object is brings the object.
    truth = np.concatenate([TRUTH["boxes"], PROPOSALS], axis=1)
    found = answer(model, {"image": IMAGES, "proposals": truth})
    assert set(found["classes"][0][found["scores"][0] > 0.5]) == {0, 3}
    assert (found["scores"][1] < 0.5).all()
    for label, box in zip([0, 3], TRUTH["boxes"][0], strict=True):
        best = np.flatnonzero(found["classes"][0] == label)[0]
        assert float(kv.ops.boxes.matched_iou(found["boxes"][0, best], box)) > 0.6


def test_padding_and_order_of_regions_change_nothing():
    model = tiny("FastRCNN", score_threshold=0.0)
    found = answer(model, INPUTS)
    assert (found["scores"][:, 0] > 0).all()
    order = RNG.permutation(12)
    padded = np.concatenate([PROPOSALS[:, order], np.zeros((2, 5, 4), "float32")], axis=1)
    again = answer(model, {"image": IMAGES, "proposals": padded})
    np.testing.assert_allclose(again["scores"], found["scores"], atol=1e-5)
    np.testing.assert_allclose(again["boxes"][:, :3], found["boxes"][:, :3], atol=1e-4)


def test_dense_layers_of_vgg_carry_over():
    options = {"alpha": 0.0625, "input_shape": (224, 224, 3)}
    vgg = kv.models.VGG16(classes=7, **options)
    for backbone, same in ((vgg, True), (kv.models.VGG16(include_top=False, **options), False)):
        head = kv.models.FastRCNN(backbone, alpha=0.0625, classes=3).get_layer("box_head")
        for name in ("fc6", "fc7"):
            kernel = numbers(head.get_layer(name).kernel)
            theirs = numbers(vgg.get_layer(name).kernel)
            assert np.array_equal(kernel, theirs) == same


def test_dense_layers_pool_what_vgg_pools():
    """Of the whole picture as one region, fc7 is VGG16's own where pooling meets its grid."""
    vgg = kv.models.VGG16(alpha=0.0625, input_shape=(224, 224, 3), classes=7)
    model = kv.models.FastRCNN(vgg, alpha=0.0625, classes=3)
    picture = RNG.uniform(0, 255, (1, 224, 224, 3)).astype("float32")
    theirs = keras.Model(vgg.input, vgg.get_layer("fc7").output)(picture)
    whole = np.array([[[0, 0, 1, 1]]], "float32")
    raw = model({"image": picture, "proposals": whole})["raw"]
    pooled = model.get_layer("region_pool")([raw["features"], whole])
    head = model.get_layer("box_head")
    ours = keras.Model(head.input, head.get_layer("fc7").output)(pooled)
    np.testing.assert_allclose(ours[0], theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["FastRCNN", "SPPNet"])
def test_saves_and_goes_over_to_other_classes(name, tmp_path):
    model = tiny(name)
    model.save(tmp_path / "model.keras")
    found = answer(model, INPUTS)
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for key, value in answer(loaded, INPUTS).items():
        np.testing.assert_array_equal(value, found[key])
    other = tiny(name, classes=7, weights=tmp_path / "model.keras")
    theirs, ours = (m.get_layer("box_head") for m in (model, other))
    np.testing.assert_array_equal(ours.get_layer("fc7").kernel, theirs.get_layer("fc7").kernel)
    assert ours.get_layer("class_scores").units == 8


def test_any_size_of_pictures():
    model = tiny("FastRCNN", input_shape=None)
    images = RNG.uniform(0, 255, (2, 70, 101, 3)).astype("float32")
    found = answer(model, {"image": images, "proposals": PROPOSALS})
    assert found["boxes"].shape == (2, 100, 4)


@pytest.mark.parametrize("name", ["FastRCNN", "SPPNet", "FasterRCNN", "MaskRCNN", "MaskXRCNN"])
@pytest.mark.parametrize("classes", [0, 2.5, True])
def test_classes_that_cannot_be(name, classes):
    with pytest.raises(ValueError, match="`classes` must be a whole number from 1"):
        tiny(name, classes=classes)
