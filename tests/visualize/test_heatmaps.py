"""Evidence must lie over the pixels it was found in."""

import io

import numpy as np
import pytest

import kvision as kv
from kvision.visualize.heatmaps import enlarge


def test_a_map_that_tiles_its_photo_is_right_at_the_centres_and_bilinear_between():
    evidence = np.array([[0.0, 4.0], [8.0, 16.0]])
    fine, inside = enlarge(evidence, (40, 80))
    assert fine.shape == (128, 256)
    assert inside.all()
    rows, columns = (np.arange(128) + 0.5) / 128, (np.arange(256) + 0.5) / 256
    y, x = (np.clip((places - 0.25) / 0.5, 0, 1) for places in (rows[:, None], columns[None]))
    expected = (1 - y) * (1 - x) * 0 + (1 - y) * x * 4 + y * (1 - x) * 8 + y * x * 16
    np.testing.assert_allclose(fine, expected, atol=1e-6)


def test_a_sliding_window_says_nothing_of_the_border():
    """Centres at 1/4, 5/12, 7/12 and 3/4 of the side stand for what is within 1/6 to 5/6 of it."""
    ramp = np.tile(np.arange(4.0), (4, 1))
    fine, inside = enlarge(ramp, (256, 256), (0.25, 0.25))
    places = (np.arange(64, 192) + 0.5) / 256
    np.testing.assert_allclose(fine[128, 64:192], (places - 0.25) * 6, atol=1e-5)
    covered = np.flatnonzero(inside[128])
    assert (covered[0], covered[-1]) == (43, 212)
    assert not inside[42].any()


@pytest.mark.parametrize("size", [(60, 80, 3), (90, 30, 1)])
def test_the_hottest_pixel_of_the_overlay_is_where_the_evidence_is(size):
    evidence = np.zeros((5, 5))
    evidence[1, 3] = 2.0
    figure = kv.visualize.heatmaps([np.zeros(size)], [evidence], ["cat  90%"])
    photo, covered = figure.axes[:2]
    assert photo.get_title(loc="left") == "cat  90%"
    overlay = covered.images[1]
    left, right, bottom, top = overlay.get_extent()
    assert (left, right, bottom, top) == (-0.5, size[1] - 0.5, size[0] - 0.5, -0.5)
    row, column = np.unravel_index(overlay.get_array().argmax(), overlay.get_array().shape)
    assert (row + 0.5) / overlay.get_array().shape[0] == pytest.approx(0.3, abs=0.02)
    assert (column + 0.5) / overlay.get_array().shape[1] == pytest.approx(0.7, abs=0.02)
    assert (overlay.get_array().min(), overlay.get_array().max()) == (0, pytest.approx(1, abs=0.1))
    figure.savefig(io.BytesIO(), format="png")


def test_several_photos_each_on_its_own_scale_and_a_legend():
    photos = [np.zeros((20, 30, 3)), np.zeros((40, 10, 3)), np.zeros((9, 9, 1))]
    maps = [np.eye(3), 100 * np.eye(4), np.ones((2, 2))]
    figure = kv.visualize.heatmaps(photos, maps, columns=2)
    assert len(figure.axes) == 2 * 4 + 1
    highest = [axis.images[1].get_array().max() for axis in figure.axes[1:6:2]]
    assert highest == [pytest.approx(1, abs=0.05), pytest.approx(1, abs=0.05), 0]
    assert [text.get_text() for text in figure.axes[-1].get_yticklabels()] == ["low", "high"]
    figure.savefig(io.BytesIO(), format="png")


@pytest.mark.parametrize(
    ("photos", "maps", "titles", "message"),
    [
        (0, [], None, "at least one photo"),
        (2, [np.eye(2)], None, "2 photos, 1 maps"),
        (1, [np.eye(2)], ["a", "b"], "2 titles"),
        (1, [np.ones((1, 1))], None, r"Received: \(1, 1\).*enlarge the photo"),
        (1, [np.ones((2, 2, 5))], None, r"Received: \(2, 2, 5\)"),
    ],
)
def test_what_cannot_be_drawn(photos, maps, titles, message):
    with pytest.raises(ValueError, match=message):
        kv.visualize.heatmaps([np.zeros((8, 8, 3))] * photos, maps, titles)
