"""Networks of full size cost the tests no memory, neither at once nor later."""

import resource
from pathlib import Path

import keras
import pytest

import kvision as kv
from kvision.zoo.skeletons import without_weights

TESTS = Path(__file__).parents[1]


class Plain(keras.layers.Layer):
    """A layer whose output shape Keras can find only by running it."""

    def call(self, inputs):
        return inputs + 1


def test_no_values_are_made_later():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    networks = [without_weights(kv.models.VGG16) for _ in range(8)]
    image = keras.Input((8, 8, 3))
    keras.Model(image, Plain()(image))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 4e5 < 8 * 138_357_544 * 4 / 1024, "kilobytes"
    assert networks[-1].count_params() == 138_357_544


def test_they_compute_in_what_is_set_and_raise_what_is_raised():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = without_weights(kv.models.LeNet5, classes=3)
    finally:
        keras.config.set_dtype_policy("float32")
    assert any(layer.compute_dtype == "bfloat16" for layer in model.layers)
    assert model.output_shape == (None, 3)
    with pytest.raises(ValueError, match="`classes` must be a whole number"):
        without_weights(kv.models.LeNet5, classes=0)


def test_all_make_them_in_one_way():
    places = [TESTS, TESTS.parent / "kvision"]
    paths = [path for place in places for path in place.rglob("*.py")]
    paths = [path for path in paths if path.name != Path(__file__).name]
    users = [path.name for path in paths if "initialize_variables=False" in path.read_text()]
    assert sorted(users) == ["skeletons.py"]
