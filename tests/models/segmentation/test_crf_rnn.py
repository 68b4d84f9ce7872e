"""Facts of CRF-RNN, computed another way."""

import keras
import numpy as np
import pytest
from networks import without_weights

import kvision as kv

TINY = kv.model_info("CRFRNN").tiny
SEGNET = {"alpha": 0.125, "input_shape": (24, 32, 3), "classes": 4}


def count(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


def pictures(model, number=2):
    shape = (number, *model.input_shape[1:])
    return np.random.default_rng(0).uniform(0, 255, shape).astype("float32")


def test_parameters_are_fcn_8s_biases_and_three_matrices():
    model, fcn = without_weights(lambda: (kv.models.CRFRNN(), kv.models.FCN8s()))
    assert count(model.weights) == 134_489_759 + 21 + 3 * 21 * 21 == 134_491_103
    assert count(model.trainable_weights) - count(fcn.trainable_weights) == 21 + 1_323
    crf = model.get_layer("crf")
    thetas = crf.theta_alpha, crf.theta_beta, crf.theta_gamma
    assert (*thetas, crf.iterations, crf.training_iterations) == (160, 3, 3, 10, 5)


def test_starts_as_the_segmenter_and_a_crf_with_the_papers_numbers():
    segmenter = kv.models.SegNet(**SEGNET)
    model = kv.models.CRFRNN(segmenter, window=5, iterations=3)
    crf = model.get_layer("crf")
    np.testing.assert_array_equal(np.asarray(crf.bilateral_weights), 5 * np.eye(4))
    np.testing.assert_array_equal(np.asarray(crf.spatial_weights), 3 * np.eye(4))
    np.testing.assert_array_equal(np.asarray(crf.compatibility), -np.eye(4))
    batch = pictures(model)
    constants = {"theta_alpha": 160.0, "theta_gamma": 3.0, "bilateral_weight": 5.0}
    expected = kv.evaluation.crf_refine(
        np.asarray(segmenter(batch)), batch, **constants, iterations=3, window=5
    )
    np.testing.assert_allclose(np.asarray(model(batch)), expected, atol=1e-4)


def test_segmenter_and_crf_learn_together():
    options = {"window": 3, "theta_beta": 60.0, "training_iterations": 2}
    model = kv.models.CRFRNN("SegNetBasic", **SEGNET, **options)
    before = [np.array(weight) for weight in model.trainable_weights]
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    batch = pictures(model)
    masks = np.random.default_rng(1).integers(0, 4, batch.shape[:3])
    losses = [float(model.train_on_batch(batch, masks)) for _ in range(8)]
    assert losses[-1] < losses[0]
    still = [
        weight.path
        for weight, old in zip(model.trainable_weights, before, strict=True)
        if np.array_equal(np.array(weight), old)
    ]
    assert not still


def test_default_backbone_keeps_its_bilinear_kernel():
    """The bias is added without a change to what the layer does at the start."""
    model = kv.build_model("CRFRNN", **TINY)
    fcn = {key: TINY[key] for key in ("alpha", "input_shape", "classes")}
    plain = kv.models.FCN8s(**fcn).get_layer("upscore2")
    layer = model.get_layer("upscore2")
    np.testing.assert_array_equal(np.asarray(layer.kernel), np.asarray(plain.kernel))
    np.testing.assert_array_equal(np.asarray(layer.bias), np.zeros(4))


@pytest.mark.parametrize("classes", [4, 6])
def test_weights_from_a_file(classes, tmp_path):
    model = kv.build_model("CRFRNN", **TINY)
    model.get_layer("crf").compatibility.assign(np.arange(16.0).reshape(4, 4))
    model.save(tmp_path / "model.keras")
    path = tmp_path / "model.keras"
    again = kv.build_model("CRFRNN", **{**TINY, "classes": classes}, weights=path)
    fc6 = [np.asarray(part.get_layer("fc6").kernel) for part in (model, again)]
    np.testing.assert_array_equal(*fc6)
    compatibility = np.asarray(again.get_layer("crf").compatibility)
    fresh = -np.eye(classes)
    expected = np.arange(16.0).reshape(4, 4) if classes == 4 else fresh
    np.testing.assert_array_equal(compatibility, expected)


def test_wrong_options_say_what_to_do():
    with pytest.raises(ValueError, match="must be a segmentation network of this package"):
        kv.models.CRFRNN(kv.models.FCN8s)
    with pytest.raises(ValueError, match="`classes` must be a whole number"):
        kv.models.CRFRNN(classes=0)
    with pytest.raises(ValueError, match="`window` must be None or an odd number"):
        kv.build_model("CRFRNN", **{**TINY, "window": 6})
