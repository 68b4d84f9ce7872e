"""Networks of full size cost the tests no memory, neither at once nor later."""

import resource
from pathlib import Path

import keras
from skeletons import skeletons

import kvision as kv

TESTS = Path(__file__).parent


class Plain(keras.layers.Layer):
    """A layer whose output shape Keras can find only by running it."""

    def call(self, inputs):
        return inputs + 1


def test_no_values_are_made_later():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with skeletons():
        networks = [kv.models.VGG16() for _ in range(8)]
    image = keras.Input((8, 8, 3))
    keras.Model(image, Plain()(image))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 4e5 < 8 * 138_357_544 * 4 / 1024, "kilobytes"
    assert networks[-1].count_params() == 138_357_544


def test_tests_make_them_in_one_way():
    paths = [path for path in TESTS.rglob("*.py") if path.name != Path(__file__).name]
    users = [path.name for path in paths if "initialize_variables=False" in path.read_text()]
    assert sorted(users) == ["jax_forward.py", "skeletons.py"], "its networks are tiny"
