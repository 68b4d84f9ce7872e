"""Pictures of masks show the right colours and words; they are also looked at by people."""

import io

import numpy as np
import pytest
from matplotlib.colors import to_rgb

import kvision as kv
from kvision.ops.masks import VOID
from kvision.visualize.mask_colors import VOID_COLOR
from kvision.visualize.segmentation import errors

NAMES = ["ground", "cat", "dog"]
GREY = list(VOID_COLOR)


def rendered(figure):
    figure.savefig(io.BytesIO(), format="png")
    return figure


def legend(figure):
    """Names of the legend's entries with their colours."""
    [box] = figure.legends
    colors = [np.rint(np.multiply(to_rgb(p.get_facecolor()), 255)) for p in box.get_patches()]
    return dict(zip((t.get_text() for t in box.get_texts()), map(list, colors), strict=True))


def shown(axis):
    return np.asarray(axis.images[0].get_array())


def test_palette_is_the_voc_colour_map():
    # The development kit's list: background, aeroplane, ..., tvmonitor.
    expected = """0 0 0 128 0 0 0 128 0 128 128 0 0 0 128 128 0 128 0 128 128 128 128 128 64 0 0
        192 0 0 64 128 0 192 128 0 64 0 128 192 0 128 64 128 128 192 128 128 0 64 0 128 64 0 0 192 0
        128 192 0 0 64 128"""
    colors = kv.visualize.palette(256)
    assert colors[:21].ravel().tolist() == [int(number) for number in expected.split()]
    assert colors[255].tolist() == [224, 224, 192]  # its void
    assert (colors.dtype, colors.shape) == ("uint8", (256, 3))
    assert len(np.unique(colors, axis=0)) == 256
    for classes in (0, 257):
        with pytest.raises(ValueError, match="`classes` must be 1 to 256"):
            kv.visualize.palette(classes)


def test_overlay_blends_and_leaves_black_classes_alone():
    image = np.full((2, 2, 3), 100.0)
    mask = np.array([[[0], [1]], [[2], [VOID]]])
    colors = [[0, 0, 0], [200, 0, 0], [0, 0, 50]]
    expected = [[[100] * 3, [120, 80, 80]], [[80, 80, 90], [123, 123, 124]]]
    tinted = kv.visualize.overlay(image, mask, colors, alpha=0.2)
    assert (tinted.dtype, tinted.tolist()) == ("uint8", expected)
    np.testing.assert_array_equal(kv.visualize.overlay(image, mask, colors, alpha=0), image)
    solid = kv.visualize.overlay(image, mask, colors, alpha=1)
    assert solid.tolist() == [[[100] * 3, [200, 0, 0]], [[0, 0, 50], GREY]]
    for grey in (image[..., :1], image[..., 0]):
        np.testing.assert_array_equal(kv.visualize.overlay(grey, mask[..., 0], colors, 0.2), tinted)
    by_default = kv.visualize.overlay(image, mask, alpha=1)
    assert by_default.tolist() == [[[100] * 3, [128, 0, 0]], [[0, 128, 0], GREY]]


def test_overlay_refuses_what_does_not_fit():
    image, mask = np.zeros((2, 2, 3)), np.array([[0, 1], [2, 2]])
    with pytest.raises(ValueError, match=r"size of `image`. Received: \(2, 1\)"):
        kv.visualize.overlay(image, mask[:, :1])
    with pytest.raises(ValueError, match="`alpha` must be in 0..1. Received: 2"):
        kv.visualize.overlay(image, mask, alpha=2)
    with pytest.raises(ValueError, match=r"classes 0 to 1 .*Received: 0 to 2"):
        kv.visualize.overlay(image, mask, colors=[[0, 0, 0], [1, 1, 1]])
    with pytest.raises(ValueError, match=r"`colors` must be RGB .*shape \(3,\)"):
        kv.visualize.overlay(image, mask, colors=[1, 2, 3])
    with pytest.raises(ValueError, match="A mask must be of shape"):
        kv.visualize.overlay(image, image)


def gallery(**options):
    truths = [np.array([[0, 1, VOID]]), np.array([[[1], [1]], [[0], [0]]])]
    guesses = [np.array([[0, 0, 1]]), np.array([[1, 1], [0, 2]])]
    images = [np.full((1, 3, 3), 9), np.full((2, 2, 1), 7)]  # of two sizes, colour and grey
    return rendered(kv.visualize.segmentations(images, truths, guesses, NAMES, **options))


def test_gallery_rows_and_colours():
    figure = gallery()
    rows = np.reshape(figure.axes, (2, 4))
    assert [axis.get_title() for axis in rows[0]] == ["image", "truth", "prediction", "error"]
    assert [axis.get_title() for axis in rows[1]] == [""] * 4
    assert shown(rows[0, 0]).tolist() == [[[9, 9, 9]] * 3]
    assert shown(rows[1, 0]).tolist() == [[[7, 7, 7]] * 2] * 2
    assert shown(rows[0, 1]).tolist() == [[[0, 0, 0], [128, 0, 0], GREY]]
    assert shown(rows[0, 2]).tolist() == [[[0, 0, 0], [0, 0, 0], [128, 0, 0]]]
    right, wrong, void = shown(rows[0, 3])[0].tolist()
    assert min(right) > 240
    assert wrong[0] > 2 * max(wrong[1:])
    assert void == GREY
    np.testing.assert_array_equal(
        np.all(shown(rows[1, 3]) == wrong, -1), [[False, False], [False, True]]
    )
    assert [axis.get_xlabel() for axis in rows[:, 3]] == ["50.0% right", "75.0% right"]


def test_gallery_legend_names_what_occurs():
    red = errors(np.array([[0]]), np.array([[1]]))[0, 0].tolist()
    assert legend(gallery()) == {
        "ground": [0, 0, 0],
        "cat": [128, 0, 0],
        "dog": [0, 128, 0],  # only predicted
        "void": GREY,
        "wrong": red,
    }
    colors = [[9, 9, 9], [0, 0, 255], [1, 2, 3]]
    assert legend(gallery(colors=colors))["cat"] == [0, 0, 255]
    mask = np.array([[[2, 2]]])
    figure = kv.visualize.segmentations(np.zeros((1, 1, 2, 3)), mask, mask, NAMES)
    assert list(legend(rendered(figure))) == ["dog", "wrong"]


def test_gallery_of_many_classes_and_of_void_alone():
    truth = np.arange(256).reshape(1, 16, 16)
    names = [f"class {index}" for index in range(255)]
    image = np.zeros((1, 16, 16, 3))
    figure = rendered(kv.visualize.segmentations(image, truth, truth % 255, names))
    # Of equally frequent ones the first; class 0 is the most frequent.
    assert list(legend(figure))[28:] == ["class 28", "class 29", "and 225 more", "void", "wrong"]
    void = np.full_like(truth, VOID)
    figure = rendered(kv.visualize.segmentations(image, void, truth * 0, names))
    assert figure.axes[3].get_xlabel() == "void"


def test_gallery_refuses_what_does_not_fit():
    mask, image = np.zeros((1, 2, 2), int), np.zeros((1, 2, 2, 3))
    with pytest.raises(ValueError, match="at least one picture"):
        kv.visualize.segmentations([], [], [], NAMES)
    with pytest.raises(ValueError, match="`predictions` must be as many .*Received: 0 for 1"):
        kv.visualize.segmentations(image, mask, [], NAMES)
    with pytest.raises(ValueError, match=r"Received: \(2, 2\) for \(4, 4\)"):
        kv.visualize.segmentations(image, np.zeros((1, 4, 4), int), mask, NAMES)
    with pytest.raises(ValueError, match="each of the 3 classes. Received: 1"):
        kv.visualize.segmentations(image, mask, mask, NAMES, colors=[[1, 2, 3]])
    with pytest.raises(ValueError, match="Received: 0 to 9|classes 0 to 2"):
        kv.visualize.segmentations(image, mask + 9, mask, NAMES)


def test_overlays():
    images = [np.full((2, 2, 3), 100), np.full((3, 1, 1), 50), np.full((2, 2, 3), 0)]
    masks = [np.array([[0, 1], [1, 0]]), np.full((3, 1), VOID), np.zeros((2, 2), int)]
    figure = rendered(kv.visualize.overlays(images, masks, NAMES, columns=2))
    assert len(figure.axes) == 4
    assert shown(figure.axes[0])[0].tolist() == [[100] * 3, [114, 50, 50]]
    assert list(legend(figure)) == ["ground", "cat", "void"]
    with pytest.raises(ValueError, match="at least one picture"):
        kv.visualize.overlays([], [], NAMES)
    with pytest.raises(ValueError, match="`masks` must be as many as the images"):
        kv.visualize.overlays(images, masks[:1], NAMES)


def test_per_class_iou():
    rows = [{"name": name, "iou": iou} for name, iou in zip(NAMES, (0.5, None, 0.9), strict=True)]
    figure = rendered(kv.visualize.per_class_iou(rows))
    [axis] = figure.axes
    assert axis.get_title() == "mean IoU 70.0%"
    assert [label.get_text() for label in axis.get_yticklabels()] == ["cat", "ground", "dog"]
    assert [bar.get_width() for bar in axis.patches] == [0, 0.5, 0.9]
    assert [text.get_text() for text in axis.texts] == ["does not occur", "50.0%", "90.0%"]
    nothing = rendered(kv.visualize.per_class_iou([{"name": "cat", "iou": None}] * 60))
    assert nothing.axes[0].get_title() == "no class occurs"
    with pytest.raises(ValueError, match="at least one class"):
        kv.visualize.per_class_iou([])


def test_edges():
    truth = np.array([[[[1], [0], [VOID]]]])
    figure = kv.visualize.edges(np.zeros((1, 1, 3, 3)), truth, np.array([[[0.8, 0.0, 1.0]]]))
    _, true, guessed = (shown(axis).tolist() for axis in rendered(figure).axes)
    assert true == [[[0] * 3, [255] * 3, GREY]]
    assert guessed == [[[51] * 3, [255] * 3, [0] * 3]]
    assert [axis.get_title() for axis in figure.axes] == ["image", "truth", "prediction"]
    with pytest.raises(ValueError, match="at least one picture"):
        kv.visualize.edges([], [], [])


def test_confusion_of_millions_of_pixels_is_in_percent():
    figure = kv.visualize.confusion_matrix([[1_800_000, 200_000], [1_000, 999_000]], ["a", "b"])
    rendered(figure)
    assert [text.get_text() for text in figure.axes[0].texts] == ["90", "10", "0.1", "100"]
    assert figure.axes[0].get_title() == "93.30% of 3.0 million right"
    assert "cells in percent" in figure.axes[1].get_ylabel()


def test_compared_segmentations_have_a_column_for_each_network():
    images = np.zeros((2, 4, 6, 3), "uint8")
    truth = np.zeros((2, 4, 6, 1), int)
    truth[1, 0, 0] = VOID
    columns = {"truth": truth, "a network of a long name": truth * 0 + 2}
    figure = rendered(kv.visualize.compared_segmentations(images, columns, NAMES))
    axes = np.reshape(figure.axes, (2, 3))
    titles = [axis.get_title().replace("\n", " ") for axis in axes[0]]
    assert titles == ["image", *columns]
    dog = kv.visualize.palette(3)[2].tolist()
    assert shown(axes[1, 1])[0, 0].tolist() == GREY
    assert (shown(axes[1, 2]) == dog).all()
    assert set(legend(figure)) == {"ground", "dog", "void"}
    with pytest.raises(ValueError, match="`truth` must be as many as the images"):
        kv.visualize.compared_segmentations(images, {"truth": truth[:1]}, NAMES)
