"""The curves of light: fixed ends, their closed forms, one inverse of the other."""

import keras
import numpy as np
import pytest
from keras import ops

from kvision.layers.augmentation.random_illumination import RandomIllumination

RAMP = np.linspace(0, 255, 256, dtype="float32").reshape(1, 16, 16, 1)


def curve(name, strength, images=RAMP):
    layer = RandomIllumination((strength, strength), curves=name)
    return ops.convert_to_numpy(layer(images, training=True))


@pytest.mark.parametrize("name", ["gamma", "log", "exp"])
@pytest.mark.parametrize("strength", [-1.5, -0.3, 0.0, 0.3, 1.5])
def test_black_and_white_stay_and_order_is_kept(name, strength):
    result = curve(name, strength).ravel()
    np.testing.assert_allclose(result[[0, -1]], [0, 255], atol=1e-2)
    assert (np.diff(result) >= 0).all()
    if strength == 0.0:
        np.testing.assert_allclose(result, RAMP.ravel(), atol=0.1)


def test_closed_forms():
    x = RAMP / 255
    np.testing.assert_allclose(curve("gamma", 0.5), 255 * np.sqrt(x), atol=0.01)
    np.testing.assert_allclose(curve("gamma", -0.5), 255 * x**2, atol=0.01)
    np.testing.assert_allclose(curve("log", 0.5), 255 * np.log(1 + 3 * x) / np.log(4), atol=0.01)
    np.testing.assert_allclose(curve("exp", 0.5), 255 * (4**x - 1) / 3, atol=0.01)


def test_exp_undoes_log():
    np.testing.assert_allclose(curve("exp", 0.8, curve("log", 0.8)), RAMP, atol=0.05)


def test_lighter_and_darker():
    middle = 128
    assert curve("log", 0.5).ravel()[middle] > 150
    assert curve("log", -0.5).ravel()[middle] > 150
    assert curve("exp", 0.5).ravel()[middle] < 110
    assert curve("gamma", 0.5).ravel()[middle] > 150
    assert curve("gamma", -0.5).ravel()[middle] < 110


def test_each_image_has_one_of_the_curves():
    images = np.repeat(RAMP, 60, axis=0)
    result = ops.convert_to_numpy(RandomIllumination((0.5, 0.5), seed=1)(images, training=True))
    forms = [curve(name, 0.5)[0] for name in ("gamma", "log", "exp")]
    chosen = [np.argmin([np.abs(image - form).max() for form in forms]) for image in result]
    assert all(
        np.allclose(image, forms[i], atol=1e-3) for image, i in zip(result, chosen, strict=True)
    )
    assert min(np.bincount(chosen, minlength=3)) > 8


def test_draws_follow_the_seed():
    images = np.repeat(RAMP, 8, axis=0)
    first = ops.convert_to_numpy(RandomIllumination(seed=1)(images, training=True))
    again = ops.convert_to_numpy(RandomIllumination(seed=1)(images, training=True))
    np.testing.assert_array_equal(first, again)
    assert (first != ops.convert_to_numpy(RandomIllumination(seed=2)(images, training=True))).any()
    assert (first[1:] != first[0]).any(axis=(1, 2, 3)).all()
    layer = RandomIllumination(0.4)
    draws = layer.get_random_transformation(np.zeros((500, 2, 2, 1)), seed=3)
    strength = np.ravel(draws["strength"])
    assert -0.4 <= strength.min() < -0.38
    assert 0.38 < strength.max() <= 0.4


def test_value_range_and_integers():
    layer = RandomIllumination((0.5, 0.5), curves=("gamma",), value_range=(0, 1))
    np.testing.assert_allclose(layer(RAMP / 255, training=True), np.sqrt(RAMP / 255), atol=1e-4)
    layer = RandomIllumination((0.5, 0.5), curves=("gamma",))
    result = layer(RAMP[0].astype("uint8"), training=True)
    np.testing.assert_allclose(result, 255 * np.sqrt(RAMP[0].round() / 255), atol=1.0)


def test_only_images_change():
    layer = RandomIllumination(0.5, bounding_box_format="xyxy")
    data = {
        "images": RAMP,
        "bounding_boxes": {"boxes": np.ones((1, 1, 4)), "labels": np.ones((1, 1))},
        "segmentation_masks": np.ones((1, 16, 16, 1), "uint8"),
        "labels": np.ones((1,)),
    }
    result = layer(data, training=True)
    assert np.abs(np.asarray(result["images"]) - RAMP).max() > 1
    for key in ("segmentation_masks", "labels"):
        np.testing.assert_array_equal(result[key], data[key])
    np.testing.assert_array_equal(result["bounding_boxes"]["boxes"], np.ones((1, 1, 4)))
    np.testing.assert_array_equal(layer(RAMP, training=False), RAMP)
    assert layer.get_random_transformation(RAMP, training=False) is None
    assert layer.transform_images(RAMP, None, training=False) is RAMP


def test_saved_and_loaded(tmp_path):
    layer = RandomIllumination((-0.1, 0.2), curves=["log"], value_range=(0, 1), seed=3)
    model = keras.Sequential([keras.Input((4, 4, 3)), layer])
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras").layers[-1]
    assert loaded.get_config() == layer.get_config()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"factor": 3}, "`factor` must be"),
        ({"factor": (0, 1, 2)}, "`factor` must be"),
        ({"curves": ()}, "`curves` must be some of"),
        ({"curves": ("sine",)}, "`curves` must be some of"),
        ({"value_range": (1, 0)}, "`value_range` must be"),
    ],
)
def test_errors(kwargs, message):
    with pytest.raises(ValueError, match=message):
        RandomIllumination(**kwargs)
