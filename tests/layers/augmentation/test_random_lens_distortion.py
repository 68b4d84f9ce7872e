"""The lens bends where Brown's formula says, and nothing else."""

import keras
import numpy as np
import pytest
from keras import ops

from kvision.layers.augmentation.random_lens_distortion import RandomLensDistortion


def squares(count=3, size=(64, 96)):
    images = np.zeros((count, *size, 3), "float32")
    images[:, 20:40, 30:70] = 255.0
    return images


def test_none_is_identity():
    images = np.random.default_rng(0).uniform(0, 255, (2, 17, 23, 3)).astype("float32")
    layer = RandomLensDistortion(0.0)
    np.testing.assert_allclose(layer(images, training=True), images, atol=1e-2)
    np.testing.assert_array_equal(RandomLensDistortion(0.3)(images, training=False), images)


@pytest.mark.parametrize(("k1", "k2"), [(0.3, 0.0), (-0.3, 0.0), (0.1, 0.2)])
def test_pixels_come_from_where_the_formula_says(k1, k2):
    """An image that holds its own coordinates is bent; each pixel tells where it came from."""
    height, width = 60, 80
    y, x = np.mgrid[:height, :width].astype("float32")
    layer = RandomLensDistortion((k1, k1), (k2, k2), fill_mode="constant", fill_value=-1.0)
    bent = ops.convert_to_numpy(layer(np.stack([x, y], -1), training=True))
    centre = np.array([width, height]) / 2
    offset = np.stack([x, y], -1) + 0.5 - centre
    square = (offset**2).sum(-1, keepdims=True) / (centre**2).sum()
    source = centre + offset * (1 + k1 * square + k2 * square**2) - 0.5
    inside = ((source >= 0) & (source <= [width - 1, height - 1])).all(-1)
    np.testing.assert_allclose(bent[inside], source[inside], atol=0.01)
    outside = ((source < -1) | (source > [width, height])).any(-1)
    np.testing.assert_array_equal(bent[outside], -1.0)
    assert outside.any() == (k1 > 0)


def test_straight_lines_bow_outwards_in_a_barrel():
    image = np.zeros((1, 81, 81, 1), "float32")
    image[:, 10] = 255.0
    for k1, sign in ((0.3, 1), (-0.25, -1)):
        layer = RandomLensDistortion((k1, k1), fill_mode="nearest")
        bent = ops.convert_to_numpy(layer(image, training=True))[0, ..., 0]
        middle, side = bent[:40, 40].argmax(), bent[:40, 10].argmax()
        assert np.sign(side - middle) == sign


def test_every_image_differs_and_draws_follow_the_seed():
    images = squares(8)
    first = ops.convert_to_numpy(RandomLensDistortion(0.3, seed=1)(images, training=True))
    again = ops.convert_to_numpy(RandomLensDistortion(0.3, seed=1)(images, training=True))
    other = ops.convert_to_numpy(RandomLensDistortion(0.3, seed=2)(images, training=True))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert (first[1:] != first[0]).any(axis=(1, 2, 3)).all()
    layer = RandomLensDistortion(0.3)
    draws = layer.get_random_transformation(images, seed=5)["k1"]
    np.testing.assert_array_equal(draws, layer.get_random_transformation(images, seed=5)["k1"])
    draws = np.ravel(layer.get_random_transformation(np.zeros((500, 2, 2, 1)), seed=5)["k1"])
    assert -0.3 <= draws.min() < -0.28
    assert 0.28 < draws.max() <= 0.3


@pytest.mark.parametrize("format", ["xyxy", "rel_yxyx", "xywh"])
@pytest.mark.parametrize("batched", [True, False])
def test_boxes_and_masks_follow(format, batched):
    height, width = 64, 96
    boxes = {
        "xyxy": [30, 20, 70, 40],
        "rel_yxyx": [20 / height, 30 / width, 40 / height, 70 / width],
        "xywh": [30, 20, 40, 20],
    }[format]
    layer = RandomLensDistortion((-0.3, 0.4), fill_mode="constant", bounding_box_format=format)
    images = squares(6)
    data = {
        "images": images,
        "bounding_boxes": {
            "boxes": np.tile(np.array(boxes, "float32"), (6, 1, 1)),
            "labels": np.ones((6, 1)),
        },
        "segmentation_masks": (images[..., :1] > 0).astype("int32"),
        "labels": np.arange(6),
    }
    if not batched:
        data = keras.tree.map_structure(lambda part: part[0], data)
    result = layer(data, training=True)
    result = keras.tree.map_structure(ops.convert_to_numpy, result)
    if not batched:
        result = keras.tree.map_structure(lambda part: part[None], result)
    found = keras.utils.bounding_boxes.convert_format(
        result["bounding_boxes"]["boxes"], format, "xyxy", height=height, width=width
    )
    for image, box, mask in zip(
        result["images"], ops.convert_to_numpy(found), result["segmentation_masks"], strict=True
    ):
        white = image[..., 0] > 127
        rows, columns = np.flatnonzero(white.any(1)), np.flatnonzero(white.any(0))
        seen = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        np.testing.assert_allclose(box[0], seen, atol=1.0)
        assert np.mean(white != (mask[..., 0] == 1)) < 0.005
        assert mask.dtype == np.int32
    assert len(result["labels"]) == (6 if batched else 1)


def test_boxes_larger_and_farther_than_what_is_seen():
    layer = RandomLensDistortion((-0.3, -0.3), bounding_box_format="xyxy")
    boxes = np.array([[[0, 0, 96, 64], [0, 0, 4, 3], [0, 0, 48, 64]]], "float32")
    data = {"images": squares(1), "bounding_boxes": {"boxes": boxes, "labels": np.ones((1, 3))}}
    found = ops.convert_to_numpy(layer(data, training=True)["bounding_boxes"]["boxes"])[0]
    np.testing.assert_allclose(found[0], [0, 0, 96, 64], atol=1e-3)
    np.testing.assert_array_equal(found[1], 0.0)  # bent out of the picture
    np.testing.assert_allclose(found[2], [0, 0, 48, 64], atol=0.1)


def test_nothing_moves_outside_training():
    layer = RandomLensDistortion(0.3, bounding_box_format="xyxy")
    boxes = {"boxes": np.array([[[1.0, 2.0, 3.0, 4.0]]]), "labels": np.ones((1, 1))}
    assert layer.get_random_transformation(squares(1), training=False) is None
    assert layer.transform_bounding_boxes(boxes, None, training=False) is boxes
    for name in ("transform_images", "transform_segmentation_masks"):
        assert getattr(layer, name)(boxes, None, training=False) is boxes


def test_saved_and_loaded(tmp_path):
    layer = RandomLensDistortion(
        (-0.1, 0.2), 0.05, fill_mode="constant", fill_value=3.0, interpolation="nearest", seed=4
    )
    copy = RandomLensDistortion.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    model = keras.Sequential([keras.Input((None, None, 3)), layer])
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert loaded.layers[-1].get_config() == layer.get_config()
    assert loaded.output_shape == (None, None, None, 3)
    images = squares(1)
    np.testing.assert_array_equal(loaded.predict(images, verbose=0), images)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"factor": 0.34}, "must not fold"),
        ({"factor": (0.0, 0.1), "second_factor": (-0.25, 0)}, "must not fold"),
        ({"factor": (1, 2, 3)}, "`factor` must be a number or a pair"),
        ({"second_factor": (1,)}, "`second_factor` must be a number or a pair"),
    ],
)
def test_errors(kwargs, message):
    with pytest.raises(ValueError, match=message):
        RandomLensDistortion(**kwargs)


def test_errors_when_called():
    with pytest.raises(ValueError, match="takes images of shape"):
        RandomLensDistortion()(np.zeros((4, 4)), training=True)
    data = {"images": squares(1), "bounding_boxes": {"boxes": np.zeros((1, 1, 4))}}
    with pytest.raises(ValueError, match="Pass `bounding_box_format`"):
        RandomLensDistortion()(data, training=True)
