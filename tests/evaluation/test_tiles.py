import keras
import numpy as np
import pytest
from keras import layers

import kvision as kv
from kvision.evaluation import tiled_prediction


def picture(height, width, channels=1):
    return np.random.default_rng(0).uniform(0, 255, (height, width, channels)).astype("float32")


class Recorded:
    """A file's model that gives back its input, cut, and remembers what it saw."""

    def __init__(self, size, lost=0, channels=1):
        self.input_shape = (size, size, channels)
        self.lost, self.batches = lost, []

    def predict(self, images, batch_size=32):
        self.batches.append(np.array(images))
        inside = slice(self.lost, images.shape[1] - self.lost)
        return images[:, inside, inside]


@pytest.mark.parametrize("lost", [0, 3])
@pytest.mark.parametrize("overlap", [None, 0, 1, 7])
@pytest.mark.parametrize("size", [(1, 1), (9, 50), (16, 16), (17, 40), (100, 33)])
def test_each_pixel_lies_where_it_was(size, overlap, lost):
    model = Recorded(16, lost)
    image = picture(*size)
    np.testing.assert_array_equal(tiled_prediction(model, image, overlap), image)
    seen = np.concatenate(model.batches[1:])
    assert np.isin(seen, image).all()  # mirrored pixels are pixels; nothing else comes in


def test_borders_are_mirrored():
    model = Recorded(16, 4)
    image = picture(8, 8)
    tiled_prediction(model, image)
    ((tile,),) = model.batches[1:]
    np.testing.assert_array_equal(tile, np.pad(image, ((4, 4), (4, 4), (0, 0)), mode="reflect"))


@pytest.mark.parametrize("size", [(84, 84), (100, 116), (68, 196)])
def test_tiles_of_the_unpadded_unet_give_what_the_whole_gives(size):
    """`unet` loses 92 pixels on each side: one is made for the whole picture, one for tiles."""
    tiles = kv.models.UNet(input_shape=(220, 220, 1), filters=4)
    whole = kv.models.UNet(input_shape=(size[0] + 184, size[1] + 184, 1), filters=4)
    whole.set_weights(tiles.get_weights())
    image = picture(*size)
    mirrored = np.pad(image, ((92, 92), (92, 92), (0, 0)), mode="reflect")
    expected = np.asarray(whole(mirrored[None]))[0]
    assert expected.std() > 1e-2
    for batch_size in (1, 5):
        answer = tiled_prediction(tiles, image, batch_size=batch_size)
        np.testing.assert_allclose(answer, expected, atol=1e-5)


def padded_unet(size):
    model = kv.models.UNet(
        input_shape=(size, size, 1), filters=4, depth=2, padding="same", dropout=0.0
    )
    return model


def test_tiles_of_a_padded_unet_agree_inside():
    keras.utils.set_random_seed(3)
    tiles, whole = padded_unet(128), padded_unet(320)
    whole.set_weights(tiles.get_weights())
    image = picture(320, 320)
    expected = np.asarray(whole(image[None]))[0]
    reach = 32  # more than half the receptive field
    answer = tiled_prediction(tiles, image, overlap=2 * reach)
    inside = (slice(reach, -reach),) * 2
    np.testing.assert_allclose(answer[inside], expected[inside], atol=1e-5)
    np.testing.assert_allclose(answer[:288, :288], expected[:288, :288], atol=1e-5)
    seamy = tiled_prediction(tiles, image, overlap=0)
    assert np.abs(seamy[inside] - expected[inside]).max() > 1e-2


def test_default_overlap_keeps_the_grid():
    model = Recorded(128)
    tiled_prediction(model, picture(224, 128))
    assert len(np.concatenate(model.batches[1:])) == 2  # at rows 0 and 96
    model = Recorded(572, lost=92)
    tiled_prediction(model, picture(388 + 384, 388), batch_size=1)
    assert len(model.batches[1:]) == 2


def test_labels_and_open_sizes():
    image = keras.Input((None, None, 3))
    labels = layers.Conv2D(1, 1, use_bias=False)(image)
    model = keras.Model(image, labels)
    x = picture(40, 30, 3)
    answer = tiled_prediction(model, x, tile_size=(16, 32))
    np.testing.assert_allclose(answer, np.asarray(model(x[None]))[0], rtol=1e-5)

    class Labels(Recorded):
        def predict(self, images, batch_size=32):
            return super().predict(images).astype("uint8")

    answer = tiled_prediction(Labels(16), np.full((20, 20, 1), 7, "uint8"))
    assert answer.dtype == np.uint8
    assert (answer == 7).all()


def test_files_are_models_too(tmp_path):
    model = padded_unet(64)
    model.save(tmp_path / "model.keras")
    image = picture(90, 70)
    np.testing.assert_allclose(
        tiled_prediction(kv.export.load(tmp_path / "model.keras"), image),
        tiled_prediction(model, image),
        atol=1e-5,
    )


def test_wrong_arguments():
    model, image = Recorded(16), picture(20, 20)
    with pytest.raises(ValueError, match=r"one picture \(height, width, 1\).*\(20, 20, 3\)"):
        tiled_prediction(model, picture(20, 20, 3))
    with pytest.raises(ValueError, match="one picture"):
        tiled_prediction(model, image[None])
    with pytest.raises(ValueError, match="from 0 to 15, less than .* Received: 16"):
        tiled_prediction(model, image, overlap=16)
    with pytest.raises(ValueError, match=r"the model's own, \(16, 16\).*Received: \(8, 8\)"):
        tiled_prediction(model, image, tile_size=8)
    with pytest.raises(ValueError, match="`batch_size` must be .* Received: 0"):
        tiled_prediction(model, image, batch_size=0)
    with pytest.raises(ValueError, match="`tile_size` must be .*any size. Received: None"):
        tiled_prediction(kv.models.UNet(filters=2, input_shape=(None, None, 1)), image)
    classifier = kv.models.LeNet5()
    with pytest.raises(ValueError, match=r"one output, maps .* Received: \(1, 10\)"):
        tiled_prediction(classifier, image)
    shrinking = keras.Sequential([keras.Input((16, 16, 1)), layers.Conv2D(1, 2)])
    with pytest.raises(ValueError, match=r"the middle of its input.* Received \(15, 15\)"):
        tiled_prediction(shrinking, image)
    sides = kv.models.HED(alpha=1 / 64, side_outputs=True)
    with pytest.raises(ValueError, match="one output, maps .* Received: 6 outputs"):
        tiled_prediction(sides, picture(20, 20, 3), tile_size=32)
