"""What the second stage of detectors is made of."""

import keras
import numpy as np
import pytest
from networks import without_weights

import kvision as kv

RNG = np.random.default_rng(0)


def numbers(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_each_class_of_a_region_has_its_own_box():
    regions = np.array([[[0.2, 0.2, 0.6, 0.4], [0.0, 0.0, 0.0, 0.0]]], "float32")
    offsets = np.zeros((1, 2, 3, 4), "float32")
    offsets[0, 0, 0] = 9.0  # background has no box
    offsets[0, 0, 1] = [1.0, 0.0, 0.0, 0.0]  # a tenth of its height down
    offsets[0, 0, 2] = [0.0, 0.0, 0.0, np.log(2.0) / 0.2]  # twice as wide
    logits = np.log(np.array([[[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]], "float32"))
    layer = kv.layers.RegionBoxes()
    boxes, scores = layer([logits, offsets.reshape(1, 2, 12), regions])
    wanted = [[0.24, 0.2, 0.64, 0.4], [0.2, 0.1, 0.6, 0.5]]
    np.testing.assert_allclose(boxes[0, 0], wanted, atol=1e-6)
    # Padding is nothing, whatever its logits say.
    np.testing.assert_allclose(scores, [[[0.3, 0.2], [0.0, 0.0]]], atol=1e-6)


def test_boxes_end_at_the_edges():
    offsets = np.full((1, 1, 8), 30.0, "float32")
    regions = np.array([[[0.2, 0.2, 0.6, 0.4]]], "float32")
    boxes, _ = kv.layers.RegionBoxes()([np.zeros((1, 1, 2)), offsets, regions])
    assert numbers(boxes).min() >= 0
    assert numbers(boxes).max() <= 1


@pytest.mark.parametrize("variances", [(1, 1, 1), (1, 1, 0, 1)])
def test_variances_that_cannot_be(variances):
    with pytest.raises(ValueError, match="four numbers greater than 0"):
        kv.layers.RegionBoxes(variances)


def test_merged_and_split_again():
    regions = keras.Input((None, 5, 7, 3))
    merged = kv.layers.MergeRegions()(regions)
    assert merged.shape == (None, 5, 7, 3)
    model = keras.Model(regions, kv.layers.SplitRegions()([merged * 2, regions]))
    values = RNG.normal(size=(2, 4, 5, 7, 3)).astype("float32")
    np.testing.assert_array_equal(model(values), values * 2)
    fixed = keras.Input(batch_shape=(2, 4, 5, 7, 3))
    assert kv.layers.MergeRegions()(fixed).shape == (8, 5, 7, 3)


def test_mask_of_the_class():
    logits = RNG.normal(size=(2, 3, 4, 4, 5)).astype("float32")
    classes = np.array([[4, 0, -1], [2, 2, -1]])
    found = numbers(kv.layers.MasksOfClasses()([logits, classes]))
    for picture, row in enumerate(classes):
        for place, label in enumerate(row):
            wanted = 1 / (1 + np.exp(-logits[picture, place, ..., label]))
            np.testing.assert_allclose(found[picture, place], wanted * (label >= 0), atol=1e-6)


def test_kernel_comes_along():
    layer = kv.layers.DenseWithKernel(3)
    inputs = RNG.normal(size=(2, 5, 8)).astype("float32")
    outputs, kernel = layer(inputs)
    np.testing.assert_array_equal(kernel, layer.kernel)
    wanted = inputs @ numbers(layer.kernel) + numbers(layer.bias)
    np.testing.assert_allclose(outputs, wanted, atol=1e-5)


def transferred(classes=3, features=6, hidden=7, channels=4, **options):
    layer = kv.layers.TransferredConv2D(hidden, **options)
    maps = RNG.normal(size=(2, 5, 5, channels)).astype("float32")
    scores = RNG.normal(size=(features, classes + 1)).astype("float32")
    offsets = RNG.normal(size=(features, 4 * (classes + 1))).astype("float32")
    return layer, [maps, scores, offsets]


def test_weights_of_masks_are_made_of_each_class_of_its_own():
    layer, (maps, scores, offsets) = transferred()
    found = numbers(layer([maps, scores, offsets]))
    for label in range(3):
        column = label + 1  # background is the first
        box = offsets[:, 4 * column : 4 * column + 4].T.ravel()  # the weights of y, x, h, w
        x = np.concatenate([scores[:, column], box])
        x = x @ numbers(layer.first.kernel) + numbers(layer.first.bias)
        x = np.where(x > 0, x, 0.1 * x) @ numbers(layer.second.kernel) + numbers(layer.second.bias)
        np.testing.assert_allclose(found[..., label], maps @ x, atol=1e-4)


def test_transfer_has_the_published_number_of_weights():
    layer = kv.layers.TransferredConv2D()
    shapes = (None, 28, 28, 256), (1024, 81), (1024, 324)
    without_weights(lambda: layer.build(shapes))
    assert layer.count_params() == 1_376_768
    assert layer.compute_output_shape(shapes) == (None, 28, 28, 80)


def test_kernels_of_other_classes():
    layer, (maps, scores, offsets) = transferred()
    with pytest.raises(ValueError, match="must be of the same classes"):
        layer([maps, scores, offsets[:, :-4]])


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16", "float16"])
def test_layers_under_policies(policy):
    layer, inputs = transferred(dtype=policy)
    assert keras.backend.standardize_dtype(layer(inputs).dtype) == layer.compute_dtype
    again = kv.layers.TransferredConv2D.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    merge = kv.layers.MergeRegions(dtype=policy)
    features = merge(np.ones((2, 3, 4), "float32"))
    assert keras.backend.standardize_dtype(features.dtype) == merge.compute_dtype
    for kind in (kv.layers.RegionBoxes, kv.layers.MasksOfClasses):
        assert kind().compute_dtype == "float32"
        assert kind.from_config(kind().get_config()).get_config()["dtype"]
