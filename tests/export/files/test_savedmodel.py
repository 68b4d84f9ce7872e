import keras
import numpy as np
import pytest
from keras import layers

import kvision as kv


def test_takes_batches_of_any_size(exported, tiny, digits):
    import tensorflow as tf

    signature = tf.saved_model.load(str(exported("saved_model"))).signatures["serving_default"]
    ((_, spec),) = signature.structured_input_signature[1].items()
    assert spec.shape.as_list() == [None, 32, 32, 3]
    assert spec.dtype == tf.float32


def test_augmentation_inside_the_model_does_not_act(exported, digits):
    # `tiny` has a RandomTranslation: Keras's own `model.export` would leave it active.
    model = kv.export.load(exported("saved_model"))
    np.testing.assert_array_equal(model.predict(digits.test[:8]), model.predict(digits.test[:8]))


def test_replaces_an_older_one_and_leaves_nothing_else(build_tiny, tmp_path):
    path = tmp_path / "deep" / "saved_model"
    first, second = build_tiny(), build_tiny()
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3))
    for model in (first, second):
        second.set_weights([w + 0.1 for w in second.get_weights()])
        assert kv.export.saved_model(model, str(path)) == path
        got = kv.export.load(path).predict(images)
        np.testing.assert_allclose(got, model.predict(images, verbose=0), atol=1e-5)
    assert [item.name for item in path.parent.iterdir()] == ["saved_model"]


def test_does_not_replace_what_is_no_saved_model(tiny, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"x")
    for path in (tmp_path / "photos", tmp_path / "photos" / "cat.jpg"):
        with pytest.raises(ValueError, match="must be a new folder or an older SavedModel"):
            kv.export.saved_model(tiny, path)
    assert (tmp_path / "photos" / "cat.jpg").read_bytes() == b"x"
    (tmp_path / "empty").mkdir()
    assert kv.export.saved_model(tiny, tmp_path / "empty").is_dir()


def test_open_size(tmp_path):
    image = keras.Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image))
    model = keras.Model(image, layers.Dense(2, activation="softmax")(x))
    loaded = kv.export.load(kv.export.saved_model(model, tmp_path / "m"))
    assert loaded.input_shape == (None, None, 3)
    assert loaded.predict(np.zeros((2, 20, 30, 3))).shape == (2, 2)
    with pytest.raises(ValueError, match=r"shape \(n, any, any, 3\)"):
        loaded.predict(np.zeros((2, 20, 30, 1)))


@keras.saving.register_keras_serializable("kvision_tests")
class Counting(layers.Layer):
    """Answers otherwise at each call; a copy keeps the number it was traced at."""

    calls = 0

    def call(self, x):
        self.calls += 1
        return x + self.calls


def test_copy_that_answers_otherwise_is_not_kept(tmp_path):
    image = keras.Input((4, 4, 3))
    model = keras.Model(image, Counting()(layers.Flatten()(image)))
    with pytest.raises(ValueError, match="must give the model's outputs within 0.0001"):
        kv.export.saved_model(model, tmp_path / "m")
    assert not list(tmp_path.iterdir())
