import itertools
import json

import keras
import numpy as np
import pytest
from scipy import ndimage, optimize, spatial

import kvision as kv
from kvision.evaluation import edge_scores, evaluate_edges
from kvision.evaluation.edge_matching import match
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
        scores = evaluate_edges(model, dataset)
        assert (scores["ods"], scores["images"]) == (1.0, 2)


class Told:
    """A model that says what it is told to, as a file's does: without a `fit`."""

    def __init__(self, maps, input_shape=(60, 80, 3)):
        self.maps, self.input_shape = np.asarray(maps), input_shape

    def predict(self, images, batch_size):
        assert images.shape[1:] == self.input_shape
        return self.maps


def test_perfect_shifted_and_half_right():
    """Of two pictures of 60 drawn pixels, with 1.5 pixels of tolerance."""
    images = np.zeros((2, 60, 80, 3))
    truth = np.stack([column(20), column(40)])[..., None]

    def score(first, second):
        maps = np.stack([first, second])[..., None] * 0.9
        return evaluate_edges(Told(maps), [(images, truth)], tolerance=0.015, thresholds=9)

    perfect, beyond = score(column(20), column(40)), score(column(22), column(38))
    assert (perfect["ods"], perfect["ois"]) == (1.0, 1.0)
    assert (beyond["ods"], beyond["ois"], beyond["average_precision"]) == (0.0, 0.0, 0.0)
    # The benchmark's area needs a curve: as sure of each pixel as of no other, and never wrong.
    graded = np.linspace(0.05, 1.0, 60)[:, None] * column(20)
    surely = evaluate_edges(
        Told(graded[None, ..., None]), [(images[:1], truth[:1])], thinning=False
    )
    assert surely["average_precision"] == pytest.approx(1.0, abs=0.02)
    assert score(column(21), column(39))["ods"] == 1.0  # one pixel off is within it
    # 180 pixels predicted, 60 of them right; 60 of 120 drawn ones found: F1 is 2 * 60 / 300.
    mixed = score(column(20), column(10) | column(60))
    assert mixed["ods_precision"] == pytest.approx(1 / 3)
    assert mixed["ods_recall"] == pytest.approx(1 / 2)
    assert mixed["ods"] == pytest.approx(0.4)


def test_annotators_come_in_a_list_or_as_channels():
    first, second, nobody = column(20), column(60), np.full((60, 80), 255)
    told = Told((1.0 * first)[None, ..., None])
    image, expected = np.zeros((1, 60, 80, 3)), edge_scores([first], [[first, second]])
    planes = np.stack([first, second, nobody], -1)
    for truth in (planes[None], [[first, second]], {"fuse": planes[None]}):
        assert evaluate_edges(told, [(image, truth)]) == expected
    assert expected["ods_recall"] == 0.5


def test_shares_of_annotators():
    """Most drew the first line, few the second: that one is neither right nor wrong."""
    truth = 0.75 * column(20) + 0.25 * column(60)
    scores = edge_scores([column(20) | column(60)], [truth])
    assert (scores["ods_precision"], scores["ods_recall"]) == (1.0, 1.0)
    assert edge_scores([column(60)], [truth])["ods"] == 0.0


def test_a_right_pixel_counts_also_where_others_do_not():
    """A line may stand one pixel off the drawn one, where not all people drew it."""
    truth = 1.0 * column(20) + 0.5 * column(21)
    scores = edge_scores([column(21)], [truth], tolerance=0.015)
    assert (scores["ods_precision"], scores["ods_recall"]) == (1.0, 1.0)


def test_examples_are_judged_in_their_own_size():
    """The model sees 30x40 pixels in grey; the drawings of all people stay as they are."""
    image = np.zeros((60, 80, 3), "uint8")
    image[:, 20:23] = 255
    drawn = np.stack([column(20), column(21)], -1)
    example = {"image": image, "edges": drawn.mean(-1, keepdims=True), "edge_annotations": drawn}

    class Bright(Told):
        def predict(self, images, batch_size):
            assert images.shape == (1, 30, 40, 1)
            return images / 255.0

    scores = evaluate_edges(Bright([], (30, 40, 1)), [example], tolerance=0.03)
    assert (scores["images"], scores["ods"]) == (1, 1.0)
    del example["edge_annotations"]
    assert evaluate_edges(Bright([], (30, 40, 1)), [example], tolerance=0.03)["ods"] == 0.0


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
    with pytest.raises(ValueError, match="at least one picture"):
        evaluate_edges(Told([]), [])
    batch = np.zeros((1, 60, 80, 3)), truth[None]
    for wrong in (np.full((1, 60, 80, 1), 1.5), np.zeros((1, 60, 80, 2)), np.zeros((1, 3))):
        with pytest.raises(ValueError, match=r"must give edges of shape \(n, height, width, 1\)"):
            evaluate_edges(Told(wrong), [batch])
    for wrong in (0, [0.0, 0.5], [1.2]):
        with pytest.raises(ValueError, match="`thresholds` must be a number"):
            edge_scores([truth], [truth], thresholds=wrong)


def test_hed_is_a_model():
    model = kv.models.HED(alpha=1 / 64, score_initializer="glorot_uniform")
    images = np.random.default_rng(0).uniform(0, 255, (2, 40, 50, 3)).astype("float32")
    truths = np.stack([column(20, 40, 50), column(30, 40, 50)])
    assert 0 <= evaluate_edges(model, [(images, truths)], thresholds=5)["ods"] < 1
