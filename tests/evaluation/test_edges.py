import itertools
import json

import keras
import numpy as np
import pytest
from scipy import ndimage, optimize, spatial

import kvision as kv
from kvision.evaluation import edge_scores
from kvision.evaluation.edges import match
from kvision.evaluation.thinning import suppress_non_maxima, thin


def blank(height=60, width=80):
    return np.zeros((height, width), "uint8")


def column(at, height=60, width=80):
    mask = blank(height, width)
    mask[:, at] = 1
    return mask


def test_a_perfect_map():
    truth = column(40)
    scores = edge_scores([0.7 * truth], [truth])
    assert scores["ods"] == scores["ois"] == 1.0
    assert scores["ods_threshold"] <= 0.7
    # The curve is one point, of recall 1, up to 0.7, and nothing beyond.
    assert scores["recall"] == [1.0 if t <= 0.7 else 0.0 for t in scores["thresholds"]]
    json.dumps(scores)


@pytest.mark.parametrize(("shift", "expected"), [(0, 1.0), (2, 1.0), (3, 0.0), (-2, 1.0)])
def test_tolerance_is_a_share_of_the_diagonal(shift, expected):
    scores = edge_scores([column(40 + shift)], [column(40)], tolerance=0.025)  # 2.5 pixels
    assert scores["ods"] == pytest.approx(expected)


def test_one_drawn_pixel_makes_one_right():
    """Two predicted lines beside one drawn line: half of them are wrong."""
    twice = column(39) | column(41)
    scores = edge_scores([twice], [column(40)], tolerance=0.02, thinning=False)
    assert scores["ods_precision"] == 0.5
    assert scores["ods_recall"] == 1.0
    assert scores["ods"] == pytest.approx(2 / 3)


def test_several_annotators():
    """Right is what one of them drew; found must be what each of them drew."""
    first, second = column(20), column(60)
    scores = edge_scores([first], [[first, second]])
    assert scores["ods_precision"] == 1.0
    assert scores["ods_recall"] == 0.5
    both = edge_scores([first | second], [[first, second]])
    assert both["ods"] == 1.0


def test_best_threshold_for_all_and_for_each():
    """In the first picture noise is at 0.5, in the second the edge itself is."""
    truth, noise = column(20), column(60)
    maps = [0.9 * truth + 0.5 * noise, 0.5 * truth]
    scores = edge_scores(maps, [truth, truth], thresholds=[0.4, 0.7])
    assert scores["ois"] == 1.0
    # At 0.4: 180 predicted, 120 right, all found. At 0.7: 60 right of 60, 60 of 120 found.
    assert scores["precision"] == pytest.approx([2 / 3, 1.0])
    assert scores["recall"] == pytest.approx([1.0, 0.5])
    assert scores["ods"] == pytest.approx(0.8)
    assert scores["ods_threshold"] == 0.4
    # The line from (0.5, 1) to (1, 2/3), at recalls 0.50, 0.51, ..., 1.00.
    line = [1 - (1 / 3) * (r - 50) / 50 for r in range(50, 101)]
    assert scores["average_precision"] == pytest.approx(sum(line) / 100)


def test_void_pixels_count_for_nothing():
    truth = column(20)
    hidden = truth.copy()
    hidden[:, 50:] = 255
    assert edge_scores([truth | column(60)], [truth])["ods_precision"] == 0.5
    assert edge_scores([truth | column(60)], [hidden])["ods_precision"] == 1.0


def test_nothing_drawn_and_nothing_found():
    assert edge_scores([blank() * 1.0], [blank()])["ods"] == 0.0
    assert edge_scores([column(3)], [blank()])["ods_precision"] == 0.0


def test_matching_is_the_largest():
    """As many pairs as an assignment that pays for each pair finds."""
    random = np.random.default_rng(0)
    for _ in range(30):
        first, second = (random.integers(0, 12, (random.integers(1, 25), 2)) for _ in range(2))
        distances = spatial.distance.cdist(first, second)
        rows, columns = optimize.linear_sum_assignment(distances > 2.5)
        expected = (distances[rows, columns] <= 2.5).sum()
        matched = match(first, second, 2.5)
        assert len(matched) == len(set(matched)) == expected
        assert (distances[matched].min(1) <= 2.5).all()


@pytest.mark.parametrize("angle", [0, 30, 45, 75, 90, 120])
def test_thick_lines_become_thin_and_stay_in_one_piece(angle):
    rows, columns = np.indices((81, 81)) - 40
    turned = np.deg2rad(angle)
    distance = np.abs(rows * np.cos(turned) - columns * np.sin(turned))
    soft = np.exp(-((distance / 2) ** 2))
    for lines in (thin(distance < 3.5), thin(suppress_non_maxima(soft) > 0.3)):
        inside = lines[10:-10, 10:-10]
        assert ndimage.label(inside, np.ones((3, 3)))[1] == 1
        assert distance[10:-10, 10:-10][inside].max() < 1.5
        # No 2x2 block is full: the line is one pixel wide.
        blocks = inside[1:, 1:] & inside[:-1, 1:] & inside[1:, :-1] & inside[:-1, :-1]
        assert not blocks.any()


@pytest.mark.parametrize("angle", [0, 30, 45, 75, 90, 120])
def test_only_the_ridge_survives_suppression(angle):
    rows, columns = np.indices((81, 81)) - 40
    turned = np.deg2rad(angle)
    distance = np.abs(rows * np.cos(turned) - columns * np.sin(turned))
    kept = suppress_non_maxima(np.exp(-((distance / 3) ** 2))) > 0
    inside = (slice(10, -10), slice(10, -10))
    assert distance[inside][kept[inside]].max() < 1.0
    assert kept[inside][distance[inside] < 0.3].all()


def test_thinning_keeps_rings_and_ends():
    rows, columns = np.indices((41, 41)) - 20
    ring = np.abs(np.hypot(rows, columns) - 12) < 2.5
    thinned = thin(ring)
    holes = ndimage.label(~thinned)[1]
    assert holes == 2  # inside and outside
    assert (thinned & ring).sum() == thinned.sum()
    line = column(5, 20, 20)
    np.testing.assert_array_equal(thin(line), line.astype(bool))


def test_models_and_batches():
    image = keras.Input((None, None, 1))
    grey = keras.layers.Rescaling(1 / 255)(image)
    truths = np.stack([column(20), column(30)])[..., None]
    images = 200.0 * truths
    alone = keras.Model(image, grey)
    named = keras.Model(image, {"side1": keras.layers.Rescaling(0.0)(grey), "fuse": grey})
    pairs = list(zip(images, truths, strict=True))
    for model, dataset in itertools.product((alone, named), (pairs, [(images, truths)])):
        scores = edge_scores(model, dataset)
        assert (scores["ods"], scores["images"]) == (1.0, 2)


def test_wrong_arguments():
    truth = column(3)
    with pytest.raises(ValueError, match="at least one picture"):
        edge_scores([], [])
    with pytest.raises(ValueError, match="a truth for each edge map.*1 maps, 2 truths"):
        edge_scores([truth], [truth, truth])
    with pytest.raises(ValueError, match=r"of one size.*\(60, 80\), \(60, 79\)"):
        edge_scores([truth], [truth[:, :-1]])
    with pytest.raises(ValueError, match="must hold 0, 1 .* 255 .*Received: .*7"):
        edge_scores([truth], [7 * truth])
    for wrong in (0, [0.0, 0.5], [1.2]):
        with pytest.raises(ValueError, match="`thresholds` must be a number"):
            edge_scores([truth], [truth], thresholds=wrong)


def test_hed_is_a_model():
    model = kv.models.HED(alpha=1 / 64, score_initializer="glorot_uniform")
    images = np.random.default_rng(0).uniform(0, 255, (2, 40, 50, 3)).astype("float32")
    truths = np.stack([column(20, 40, 50), column(30, 40, 50)])
    assert 0 <= edge_scores(model, [(images, truths)], thresholds=5)["ods"] < 1
