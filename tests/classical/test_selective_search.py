"""Selective search finds flat and two-toned objects; what is OpenCV's own is checked as it is."""

import numpy as np
import pytest

from kvision.classical import selective_search

HEIGHT, WIDTH = 120, 160
NESTED = [(10, 12, 100, 110), (24, 30, 86, 92), (40, 46, 66, 74)]
TWO_TONE = (60, 120, 100, 152)


@pytest.fixture(scope="module")
def picture():
    """Rectangles within rectangles, and one object of two colours, top, left, bottom, right."""
    pixels = np.full((HEIGHT, WIDTH, 3), (128, 128, 128), "uint8")
    for (top, left, bottom, right), colour in zip(
        NESTED, [(200, 40, 40), (40, 160, 60), (50, 60, 220)], strict=True
    ):
        pixels[top:bottom, left:right] = colour
    top, left, bottom, right = TWO_TONE
    pixels[top:bottom, left:right] = (240, 220, 40)
    pixels[top : (top + bottom) // 2, left:right] = (30, 200, 220)
    return pixels


def search(image, mode="fast", **options):
    """As small as the picture is, which takes a moment."""
    return selective_search(image, mode, **{"longer_side": None, "minimum_size": 8, **options})


def iou(box, others):
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    both = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1)
    return both / (np.prod(np.subtract(box[2:], box[:2])) + areas - both)


@pytest.mark.parametrize("mode", ["fast", "quality"])
def test_every_object_is_among_at_most_150_boxes(picture, mode):
    boxes = search(picture, mode)
    assert len(boxes) <= 150
    for box in [*NESTED, TWO_TONE]:
        relative = np.array(box) / ([HEIGHT, WIDTH] * 2)
        assert iou(relative, boxes).max() >= 0.9, box


def test_boxes_lie_within_and_differ(picture):
    boxes = search(picture)
    assert boxes.dtype == np.float32
    assert boxes.min() >= 0
    assert boxes.max() <= 1
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert len(np.unique(boxes, axis=0)) == len(boxes) > 20


def test_a_seed_is_an_order(picture):
    first = search(picture)
    np.testing.assert_array_equal(first, search(picture))
    other = search(picture, seed=1)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(np.unique(first, axis=0), np.unique(other, axis=0))


def test_the_best_are_the_first(picture):
    boxes = search(picture)
    np.testing.assert_array_equal(search(picture, most=7), boxes[:7])
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    places = [np.argmax(search(picture, seed=seed)[:, 2:].sum(1)) for seed in range(7)]
    assert np.median(places) <= 3  # the whole picture is the largest box
    assert areas[: len(areas) // 2].mean() > areas[len(areas) // 2 :].mean()


def test_quality_finds_more(picture):
    assert len(search(picture, "quality")) > len(search(picture))


def test_least_size_is_that_of_the_picture_searched(picture):
    boxes = selective_search(picture, longer_side=240, minimum_size=40)
    sides = (boxes[:, 2:] - boxes[:, :2]) * [180, 240]
    assert sides.min() >= 40 - 1e-3
    every = selective_search(picture, longer_side=240, minimum_size=1)
    assert ((every[:, 2:] - every[:, :2]) * [180, 240]).min() < 40


def test_channels_are_red_green_blue():
    """OpenCV, which wants blue first, finds the same boxes in the picture turned round."""
    import cv2

    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (10, 14, 3), "uint8")
    pixels = cv2.resize(coarse, (112, 80), interpolation=cv2.INTER_CUBIC)

    def direct(image):
        module = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
        module.setBaseImage(np.ascontiguousarray(image))
        module.switchToSelectiveSearchFast()
        return {tuple(box) for box in np.asarray(module.process()).tolist()}

    boxes = search(pixels, minimum_size=1) * [80, 112, 80, 112]
    found = {(x, y, right - x, low - y) for y, x, low, right in boxes.round().astype(int).tolist()}
    assert found == direct(pixels[..., ::-1])
    assert found != direct(pixels)


def test_grey_pictures_of_any_type_are_searched():
    grey = np.zeros((60, 60), "uint8") + 60
    grey[20:40, 15:50] = 200
    for version in (grey, grey[..., None], grey.astype("float32") + 0.3):
        assert iou(np.array([20, 15, 40, 50]) / 60, search(version)).max() > 0.9


@pytest.mark.parametrize("shape", [(64, 80, 3), (1, 1, 3), (3, 2), (1, 200, 1), (500, 4, 3)])
def test_of_a_flat_picture_all_is_one_box(shape):
    for side in (None, 120):
        boxes = selective_search(np.full(shape, 77, "uint8"), longer_side=side)
        np.testing.assert_array_equal(boxes, [[0, 0, 1, 1]])


def test_n_segments_of_opencv_give_at_most_2n_boxes(picture):
    import cv2

    module = cv2.ximgproc.segmentation
    search = module.createSelectiveSearchSegmentation()
    search.setBaseImage(picture)
    search.switchToSingleStrategy(50, 0.8)
    segments = module.createGraphSegmentation(0.8, 50).processImage(
        cv2.cvtColor(picture, cv2.COLOR_BGR2HSV)
    )
    assert 4 < len(search.process()) <= 2 * (segments.max() + 1) - 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "slow"}, "`mode` must be one of"),
        ({"most": 0}, "must be at least 1"),
        ({"minimum_size": 0}, "must be at least 1"),
        ({"longer_side": 0}, "must be at least 1"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        selective_search(np.zeros((20, 20, 3)), **options)


@pytest.mark.parametrize("shape", [(20,), (20, 20, 2), (0, 20, 3), (1, 20, 20, 3)])
def test_what_is_no_picture_is_named(shape):
    with pytest.raises(ValueError, match="A picture must be an array"):
        selective_search(np.zeros(shape))
