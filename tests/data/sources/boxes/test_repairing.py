"""Which boxes are put right, which are dropped, and what is said of them."""

import pytest

from kvision.data.sources.boxes.repairing import repair_box
from kvision.data.sources.boxes.voc_xml import to_pixels

SIZE = (40, 80)
NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("box", "pixels", "reason"),
    [
        ((10, 20, 20, 60), (10, 20, 20, 60), None),
        ((0, 0, 40, 80), (0, 0, 40, 80), None),
        ((20, 60, 10, 20), (10, 20, 20, 60), "its corners were swapped"),
        ((10, 60, 20, 20), (10, 20, 20, 60), "its corners were swapped"),
        ((-1, -0.5, 40.4, 81), (0, 0, 40, 80), None),
        ((-3, 4, 20, 20), (0, 4, 20, 20), "it reached 3 pixels over the border"),
        ((30, 4, 20, 85), (20, 4, 30, 80), "its corners were swapped; it reached 5 pixels"),
        ((10, 20, 10, 60), None, "dropped: it has no area"),
        ((10, 20, 20, 20), None, "dropped: it has no area"),
        ((40, 20, 50, 60), None, "dropped: it lies outside the picture"),
        ((-10, 20, 0, 60), None, "dropped: it lies outside the picture"),
        ((1, 90, 9, 95), None, "dropped: it lies outside the picture"),
        ((NAN, 0, 1, 1), None, "dropped: its corners are no numbers"),
        ((0, 0, INFINITE, 1), None, "dropped: its corners are no numbers"),
    ],
)
def test_boxes(box, pixels, reason):
    found, said = repair_box(box, SIZE)
    assert (said is None) if reason is None else said.startswith(reason)
    if pixels is None:
        assert found is None
    else:
        assert [side * by for side, by in zip(found, SIZE * 2, strict=True)] == pytest.approx(
            pixels
        )


@pytest.mark.parametrize(
    ("corners", "pixels"),
    [
        ((1, 1, 480, 640), (0, 0, 480, 640)),  # the whole picture
        ((5, 7, 5, 9), (4, 6, 5, 9)),  # one row of three pixels
        ((9, 7, 5, 3), (9, 7, 4, 2)),  # swapped, and so the lower number is the first pixel
        ((337, 504, 337, 504), (337, 504, 337, 504)),  # a point
    ],
)
def test_corners_of_voc(corners, pixels):
    assert to_pixels(corners) == pixels
