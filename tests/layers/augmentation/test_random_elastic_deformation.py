"""The rubber sheet: displaced as drawn, smooth between, masks and boxes along with it."""

import keras
import numpy as np
import pytest
from keras import ops

from kvision.layers.augmentation.random_elastic_deformation import RandomElasticDeformation


def drawn(displacements, size):
    return {"displacements": np.asarray(displacements, "float32"), "size": size}


def displacement_at(layer, transformation, points):
    points = np.asarray(points, "float32")[None]
    return ops.convert_to_numpy(layer.source(points, transformation))[0] - points[0]


def test_draws_are_normal_with_the_deviation():
    layer = RandomElasticDeformation(10.0, seed=1)
    draws = ops.convert_to_numpy(
        layer.get_random_transformation(np.zeros((2000, 8, 8, 1)))["displacements"]
    )
    assert draws.shape == (2000, 3, 3, 2)
    assert draws.std() == pytest.approx(10.0, rel=0.02)
    assert abs(draws.mean()) < 0.2
    # No two of the grid's numbers go together.
    correlation = np.corrcoef(draws.reshape(2000, -1).T) - np.eye(18)
    assert np.abs(correlation).max() < 0.12


def test_grid_points_go_where_they_are_sent():
    random = np.random.default_rng(0)
    layer = RandomElasticDeformation(grid=4)
    sent = random.normal(0, 5, (1, 4, 4, 2))
    rows, columns = np.mgrid[:4, :4] / 3
    points = np.stack([columns * 90, rows * 60], -1).reshape(-1, 2)
    found = displacement_at(layer, drawn(sent, (60, 90)), points)
    np.testing.assert_allclose(found, sent.reshape(-1, 2), atol=1e-4)


def test_between_them_it_is_keys_cubic():
    """Against a cubic convolution with a = -1/2, written out for one row of nodes."""
    nodes = np.array([3.0, -1.0, 4.0, 1.0, -5.0])
    sent = np.zeros((1, 5, 5, 2))
    sent[..., 0] = nodes
    places = np.linspace(0, 100, 57)
    points = np.stack([places, np.full_like(places, 31.0)], -1)
    found = displacement_at(RandomElasticDeformation(grid=5), drawn(sent, (40, 100)), points)
    padded = np.concatenate([[2 * nodes[0] - nodes[1]], nodes, [2 * nodes[-1] - nodes[-2]]])
    expected = []
    for place in places / 25:
        i = min(int(place), 3)
        t, (a, b, c, d) = place - i, padded[i : i + 4]
        expected.append(
            b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
        )
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-5)
    np.testing.assert_allclose(found[:, 1], 0.0, atol=1e-6)


def test_a_ramp_of_displacements_is_a_zoom():
    """Linear displacements stay linear, up to the border."""
    rows, columns = np.mgrid[:3, :3] - 1.0
    sent = np.stack([columns * 8, rows * 6], -1)[None]
    points = np.random.default_rng(0).uniform(0, [80, 60], (50, 2))
    found = displacement_at(RandomElasticDeformation(), drawn(sent, (60, 80)), points)
    np.testing.assert_allclose(found, (points - [40, 30]) * 0.2, atol=1e-4)


def test_pixels_come_from_where_the_source_says():
    height, width = 40, 50
    y, x = np.mgrid[:height, :width].astype("float32")
    layer = RandomElasticDeformation(2.0, seed=3, fill_mode="constant", fill_value=-9.0)
    image = np.stack([x, y], -1)[None]
    transformation = layer.get_random_transformation(image)
    bent = ops.convert_to_numpy(layer.transform_images(image, transformation))[0]
    points = np.stack([x, y], -1).reshape(-1, 2) + 0.5
    source = points + displacement_at(layer, transformation, points) - 0.5
    source = source.reshape(height, width, 2)
    inside = ((source >= 0) & (source <= [width - 1, height - 1])).all(-1)
    np.testing.assert_allclose(bent[inside], source[inside], atol=0.01)
    outside = ((source < -1) | (source > [width, height])).any(-1)
    np.testing.assert_array_equal(bent[outside], -9.0)
    assert outside.any()


def test_boxes_masks_and_void_follow():
    images = np.zeros((8, 96, 128, 3), "float32")
    images[:, 30:60, 40:90] = 255.0
    masks = np.where(images[..., :1] > 0, 1, 0)
    masks[:, 40:50, 50:60] = 255
    layer = RandomElasticDeformation(3.0, seed=1, bounding_box_format="xyxy")
    boxes = np.array([[[40, 30, 90, 60]]] * 8, "float32")
    data = {
        "images": images,
        "segmentation_masks": masks,
        "bounding_boxes": {"boxes": boxes, "labels": np.ones((8, 1))},
    }
    result = keras.tree.map_structure(ops.convert_to_numpy, layer(data, training=True))
    moved = 0
    for image, mask, box in zip(
        result["images"],
        result["segmentation_masks"],
        result["bounding_boxes"]["boxes"],
        strict=True,
    ):
        white = image[..., 0] > 127
        rows, columns = np.flatnonzero(white.any(1)), np.flatnonzero(white.any(0))
        seen = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        np.testing.assert_allclose(box[0], seen, atol=1.0)
        assert np.mean(white != (mask[..., 0] > 0)) < 0.005
        assert set(np.unique(mask)) == {0, 1, 255}
        moved += seen != [40, 30, 90, 60]
    assert moved > 4


def test_none_is_identity_and_so_is_inference():
    images = np.random.default_rng(0).uniform(0, 255, (2, 17, 23, 3)).astype("float32")
    np.testing.assert_allclose(
        RandomElasticDeformation(0.0)(images, training=True), images, atol=1e-2
    )
    layer = RandomElasticDeformation(4.0)
    np.testing.assert_array_equal(layer(images, training=False), images)
    assert layer.get_random_transformation(images, training=False) is None
    assert layer.transform_segmentation_masks(images, None, training=False) is images


def test_every_image_differs_and_draws_follow_the_seed():
    images = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 1)).astype("float32")
    first = ops.convert_to_numpy(RandomElasticDeformation(2.0, seed=1)(images, training=True))
    again = ops.convert_to_numpy(RandomElasticDeformation(2.0, seed=1)(images, training=True))
    np.testing.assert_array_equal(first, again)
    layer = RandomElasticDeformation(2.0, seed=1)
    transformation = ops.convert_to_numpy(layer.get_random_transformation(images)["displacements"])
    assert (transformation[1:] != transformation[0]).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16"])
def test_coarse_numbers_do_not_make_it_coarse(policy):
    """The displacements are reckoned in float32: bfloat16 cannot tell pixel 301 from 300."""
    images = np.zeros((1, 16, 512, 1), "float32")
    images[:, :, ::2] = 128.0
    shift = drawn(np.broadcast_to([1.0, 0.0], (1, 3, 3, 2)), (16, 512))
    layer = RandomElasticDeformation(dtype=policy)
    moved = layer.transform_images(images, shift)
    assert keras.backend.standardize_dtype(moved.dtype) == policy.removeprefix("mixed_")
    np.testing.assert_array_equal(
        ops.convert_to_numpy(ops.cast(moved, "float32"))[:, :, :-1], images[:, :, 1:]
    )


def test_saved_and_loaded(tmp_path):
    layer = RandomElasticDeformation(
        3.0, 4, fill_mode="constant", fill_value=2.0, interpolation="nearest", seed=4
    )
    assert RandomElasticDeformation.from_config(layer.get_config()).get_config() == (
        layer.get_config()
    )
    model = keras.Sequential([keras.Input((None, None, 3)), layer])
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert loaded.layers[-1].get_config() == layer.get_config()
    assert loaded.output_shape == (None, None, None, 3)
    images = np.ones((1, 9, 9, 3), "float32")
    np.testing.assert_array_equal(loaded.predict(images, verbose=0), images)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"sigma": -1}, "`sigma` must be 0 or more"),
        ({"sigma": float("nan")}, "`sigma` must be 0 or more"),
        ({"grid": 1}, "`grid` must be a whole number of 2"),
        ({"grid": 2.5}, "`grid` must be a whole number of 2"),
    ],
)
def test_errors(kwargs, message):
    with pytest.raises(ValueError, match=message):
        RandomElasticDeformation(**kwargs)
