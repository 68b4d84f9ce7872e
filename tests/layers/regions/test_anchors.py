"""Anchors: the published boxes, their numbers, and keras-cv's."""

import keras
import keras_cv
import numpy as np
import pytest
import tensorflow as tf

from kvision.layers import Anchors
from kvision.ops.anchors import rpn_shapes, ssd_shapes, ssdlite_shapes

# xmin, ymin, xmax, ymax: inclusive corners counted from 1, as in the authors' MATLAB.
PUBLISHED = [
    (-83, -39, 100, 56),
    (-175, -87, 192, 104),
    (-359, -183, 376, 200),
    (-55, -55, 72, 72),
    (-119, -119, 136, 136),
    (-247, -247, 264, 264),
    (-35, -79, 52, 96),
    (-79, -167, 96, 184),
    (-167, -343, 184, 360),
]
SSD_MAPS = (38, 19, 10, 5, 3, 1)
LONG = (False, True, True, True, False, False)


def anchors_of(shapes, size, maps, **options):
    inputs = [np.zeros((2, *size, 3))] + [np.zeros((2, *cells, 1)) for cells in maps]
    return np.asarray(Anchors(shapes, **options)(inputs))


def test_the_nine_of_region_proposals():
    found = anchors_of([rpn_shapes()], (96, 160), [(6, 10)]) * (96, 160, 96, 160)
    ymin, xmin, ymax, xmax = found[:9].T
    # From edges to inclusive pixels counted from 1.
    published = np.stack([xmin + 1, ymin + 1, xmax, ymax], axis=-1)
    np.testing.assert_allclose(published, PUBLISHED, atol=1e-3)
    by_place = found.reshape(6, 10, 9, 4)
    np.testing.assert_allclose(by_place[2, 3] - by_place[0, 0], [[32, 48, 32, 48]] * 9, atol=1e-3)


def test_unrounded_anchors_have_equal_areas():
    shapes = np.array(rpn_shapes((32, 64), (0.5, 1, 2), base=None))
    np.testing.assert_allclose(shapes.prod(axis=1), [32**2, 64**2] * 3)
    np.testing.assert_allclose(shapes[:, 0] / shapes[:, 1], [0.5, 0.5, 1, 1, 2, 2])


def test_the_8732_of_ssd():
    shapes = ssd_shapes((30, 60, 111, 162, 213, 264, 315), LONG)
    assert [len(level) for level in shapes] == [4, 6, 6, 6, 4, 4]
    found = anchors_of(shapes, (300, 300), [(cells, cells) for cells in SSD_MAPS]) * 300
    assert found.shape == (8732, 4)
    last = found[-4:]  # the only position of the last level: the middle
    np.testing.assert_allclose((last[:, :2] + last[:, 2:]) / 2, 150, atol=1e-3)
    sides = last[:, 2:] - last[:, :2]
    root = 2**0.5
    expected = [(264, 264), ((264 * 315) ** 0.5,) * 2, (264 / root, 264 * root)]
    np.testing.assert_allclose(sides, [*expected, expected[2][::-1]], rtol=1e-5)
    second = np.array(shapes[1])
    np.testing.assert_allclose(second[4:].prod(axis=1), 60**2)
    np.testing.assert_allclose(second[4:, 1] / second[4:, 0], [3, 1 / 3])


def test_those_of_ssdlite():
    shapes = ssdlite_shapes(6, (320, 400))
    assert [len(level) for level in shapes] == [3, 6, 6, 6, 6, 6]
    assert shapes[0][0] == (32, 32)
    sides = [level[0][0] / 320 for level in shapes[1:]]
    np.testing.assert_allclose(sides, [0.35, 0.5, 0.65, 0.8, 0.95])
    np.testing.assert_allclose(shapes[0][1], (64 / 2**0.5, 64 * 2**0.5))
    np.testing.assert_allclose(shapes[5][1], (320 * 0.95**0.5,) * 2)


@pytest.mark.parametrize("size", [(128, 192), (100, 130)])
@pytest.mark.parametrize("clip", [False, True])
def test_equal_keras_cv(size, clip):
    """Of sizes that are no multiple of the stride too, where `strides` say so."""
    theirs = keras_cv.layers.AnchorGenerator(
        "rel_yxyx", [32.0, 64.0], [1.0, 2.0], [0.5, 1.0, 2.0], [16, 32], clip_boxes=clip
    )(image=tf.zeros((*size, 3)))
    shapes = [
        [(s * scale / r**0.5, s * scale * r**0.5) for scale in (1, 2) for r in (0.5, 1, 2)]
        for s in (32, 64)
    ]
    maps = [(-(-size[0] // stride), -(-size[1] // stride)) for stride in (16, 32)]
    ours = anchors_of(shapes, size, maps, clip=clip, strides=(16, 32))
    expected = np.concatenate([theirs[0], theirs[1]])
    np.testing.assert_allclose(ours, expected, atol=1e-6)
    evenly = anchors_of(shapes, size, maps, clip=clip)
    assert np.allclose(evenly, expected, atol=1e-6) == (size == (128, 192))


def test_relative_shapes_and_offset():
    found = anchors_of([[(0.5, 0.25)]], (40, 80), [(1, 2)], relative=True, offset=0.0)
    np.testing.assert_allclose(found, [[-0.25, -0.125, 0.25, 0.125], [-0.25, 0.375, 0.25, 0.625]])


def test_open_sizes_and_saving(tmp_path):
    image = keras.Input((None, None, 3))
    maps = [keras.layers.MaxPooling2D(4)(image), keras.layers.MaxPooling2D(8)(image)]
    anchors = Anchors([[(8, 8)], [(16, 16), (32, 16)]], strides=(4, 8), name="anchors")
    model = keras.Model(image, anchors([image, *maps]))
    assert model.output_shape == (None, 4)
    model.save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    assert model.get_layer("anchors").get_config() == anchors.get_config()
    traced = tf.function(model, input_signature=[tf.TensorSpec((None, None, None, 3))])
    for size in ((16, 24), (32, 8)):
        cells = [(size[0] // stride, size[1] // stride) for stride in (4, 8)]
        expected = anchors_of(anchors.shapes, size, cells, strides=(4, 8))
        np.testing.assert_allclose(traced(tf.zeros((1, *size, 3))), expected, atol=1e-6)


@pytest.mark.parametrize("policy", ["float16", "mixed_bfloat16"])
def test_always_float32(policy):
    """A step of bfloat16 is two pixels of 512."""
    layer = Anchors([[(8, 8)]], dtype=policy)
    inputs = [keras.Input((512, 512, 3), dtype="float16"), keras.Input((128, 128, 1))]
    assert layer(inputs).dtype == "float32"
    assert layer(inputs).shape == (128 * 128, 4)
    found = np.asarray(layer([np.zeros((1, 512, 512, 3)), np.zeros((1, 128, 128, 1))]))
    assert len(np.unique(found[:, 0])) == 128


def test_errors():
    with pytest.raises(ValueError, match=r"`shapes` must be a list of \(height, width\)"):
        Anchors([])
    with pytest.raises(ValueError, match=r"`shapes` must be a list of \(height, width\)"):
        Anchors([[(1, 2, 3)]])
    with pytest.raises(ValueError, match="Received: 1 strides, 2 lists"):
        Anchors([[(1, 2)], [(1, 2)]], strides=[8])
    with pytest.raises(ValueError, match="the image and 1 feature maps.* Received: 3 tensors"):
        anchors_of([[(8, 8)]], (8, 8), [(2, 2), (1, 1)])
    with pytest.raises(ValueError, match="`sizes` must be greater than 0"):
        rpn_shapes((0, 1))
    with pytest.raises(ValueError, match="`ratios` must be greater than 0"):
        rpn_shapes(ratios=(-1,))
    with pytest.raises(ValueError, match="`base` must be greater than 0"):
        rpn_shapes(base=0)
    with pytest.raises(ValueError, match="one number more than `long`.* 2 sizes, 2 levels"):
        ssd_shapes((30, 60), LONG[:2])
    with pytest.raises(ValueError, match="`levels` must be greater than 0"):
        ssdlite_shapes(0)
    with pytest.raises(ValueError, match="`scales` must be greater than 0"):
        ssdlite_shapes(scales=(0, 1))
