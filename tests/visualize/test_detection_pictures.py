"""Boxes lie on the right pixels, and figures say what is right, wrong and missed."""

import io

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle
from prepared_detections import NAMES, in_batches, world

import kvision as kv
from kvision.visualize.figure import BLUE, GREEN, MUTED, ORANGE, RED

GREY = np.full((120, 200, 3), 128.0)
BOX = [0.25, 0.1, 0.75, 0.4]  # rows 30 to 90, columns 20 to 80
FIRST = (255, 0, 0)


def rendered(figure):
    figure.savefig(io.BytesIO(), format="png")
    return figure


def where(picture, color=FIRST):
    """The rectangle (top, left, bottom, right) around all pixels of a colour, ends excluded."""
    rows, columns = np.nonzero((picture == color).all(-1))
    return rows.min(), columns.min(), rows.max() + 1, columns.max() + 1


def changed(picture, image=GREY):
    return (picture != np.asarray(image, "uint8")).any(-1)


def test_a_box_is_drawn_on_its_outermost_pixels():
    picture = kv.visualize.draw_boxes(GREY, [BOX])
    assert (picture.dtype, picture.shape) == ("uint8", (120, 200, 3))
    assert where(picture) == (30, 20, 90, 80)
    assert not changed(picture)[33:87, 23:77].any()
    assert not changed(picture)[:, 82:].any()
    assert not changed(picture)[:28].any()
    for grey in (GREY[..., :1], GREY[..., 0]):
        np.testing.assert_array_equal(kv.visualize.draw_boxes(grey, [BOX]), picture)
    assert GREY.max() == 128  # the picture that was given stays as it is


def test_what_is_beyond_the_picture_is_cut_off_or_left_out():
    assert where(kv.visualize.draw_boxes(GREY, [[-0.5, 0.5, 0.5, 3.0]])) == (0, 100, 60, 200)
    outside = [[-0.5, 0.1, -0.1, 0.4], [0.1, 1.1, 0.2, 1.4], [0.6, 0.2, 0.5, 0.4]]
    assert not changed(kv.visualize.draw_boxes(GREY, outside, [0, 0, 0], names=NAMES)).any()


@pytest.mark.parametrize("size", [(150, 200), (3000, 4000)])
def test_lines_and_letters_grow_with_the_picture(size):
    image = np.full((*size, 3), 128, "uint8")
    box = [0.5, 0.1, 0.9, 0.9]
    plain = changed(kv.visualize.draw_boxes(image, [box], [0]), image)
    column = plain[int(0.7 * size[0])]
    line = column[: size[1] // 2].sum()
    assert max(3, size[1] / 400) <= line <= size[1] / 60
    label = np.flatnonzero(plain[: size[0] // 2 - line, : size[1] // 2].any(1))
    assert max(9, size[1] / 60) <= len(label) <= max(15, size[1] / 40)


def test_padding_and_low_scores_are_left_out():
    boxes = [BOX, [0.5, 0.6, 0.9, 0.9], [0.0, 0.0, 0.0, 0.0]]
    picture = kv.visualize.draw_boxes(GREY, boxes, [0, 1, -1], [0.9, 0.3, 0.0], NAMES, None, 0.5)
    alone = kv.visualize.draw_boxes(GREY, [BOX], [0], [0.9], NAMES)
    np.testing.assert_array_equal(picture, alone)
    by_class = kv.visualize.draw_boxes(
        GREY, boxes, [0, 1, -1], [0.4, 0.4, 0.0], NAMES, None, [0.5, 0.3]
    )
    other = kv.visualize.draw_boxes(GREY, boxes[1:2], [1], [0.4], NAMES)
    np.testing.assert_array_equal(by_class, other)
    unknown = kv.visualize.draw_boxes(
        GREY, boxes, [0, 1, -1], [0.4, 0.4, 0.0], NAMES, None, [None, 0.3]
    )
    np.testing.assert_array_equal(unknown, other)
    for nothing in ([], np.zeros((0, 4))):
        assert not changed(kv.visualize.draw_boxes(GREY, nothing)).any()


def test_the_best_is_on_top():
    one = kv.visualize.draw_boxes(GREY, [BOX, BOX], [0, 1], [0.2, 0.9])
    other = kv.visualize.draw_boxes(GREY, [BOX, BOX], [0, 1], [0.9, 0.2])
    assert one[60, 20].tolist() == kv.visualize.class_colors(2)[1].tolist()
    assert other[60, 20].tolist() == list(FIRST)


def test_labels_stay_in_the_picture_and_off_each_other():
    boxes = [
        [0.0, 0.0, 0.3, 0.2],
        [0.0, 0.9, 0.3, 1.0],
        [0.9, 0.0, 1.0, 0.5],
        [0.0, 0.0, 0.3, 0.21],
    ]
    image = np.full((400, 600, 3), 128, "uint8")
    names = ["a long name", "b long name", "c long name", "d long name"]

    def label_pixels(some):
        chosen = [boxes[k] for k in some]
        with_names = kv.visualize.draw_boxes(image, chosen, some, names=names)
        return changed(
            with_names, kv.visualize.draw_boxes(image, chosen, some, names=[""] * 4)
        ).sum()

    alone = [label_pixels([k]) for k in range(4)]
    assert min(alone) > 900
    assert label_pixels([0, 1, 2, 3]) > 0.95 * sum(alone)


def test_a_crowded_thumbnail_keeps_its_picture():
    random = np.random.default_rng(0)
    corners = random.uniform(0, 0.8, (40, 2))
    boxes = np.concatenate([corners, corners + 0.15], -1)
    scores = random.random(40)
    picture = kv.visualize.draw_boxes(GREY, boxes, np.zeros(40), scores, ["a long name"])
    without = kv.visualize.draw_boxes(GREY, boxes, np.zeros(40), scores, [""])
    assert 0.15 < changed(picture, without).mean() < 0.25


def test_masks_in_frames_of_boxes_and_of_the_picture():
    half = np.zeros((1, 28, 28))
    half[:, :, :14] = 0.9
    whole = np.zeros((1, 120, 200))
    whole[:, 30:90, 20:50] = 1
    picture = kv.visualize.draw_boxes(GREY, [BOX], masks=half)
    np.testing.assert_array_equal(picture, kv.visualize.draw_boxes(GREY, [BOX], masks=whole))
    assert picture[60, 35].tolist() == [179, 77, 77]  # 0.6 of grey, 0.4 of red
    assert picture[60, 49].tolist() == list(FIRST)  # the outline
    assert picture[60, 60].tolist() == [128, 128, 128]


def test_colors_are_far_apart():
    colors = kv.visualize.class_colors(80).astype(int)
    assert (colors.dtype, colors.shape, colors[0].tolist()) == (int, (80, 3), list(FIRST))
    np.testing.assert_array_equal(kv.visualize.class_colors(5), colors[:5])
    distance = np.linalg.norm(colors[:, None] - colors[None], axis=-1) + 1e3 * np.eye(80)
    assert distance.min() > 30
    assert distance[:10, :10].min() > 90
    assert len(np.unique(kv.visualize.class_colors(100), axis=0)) == 100
    assert kv.visualize.class_colors(1000).shape == (1000, 3)
    with pytest.raises(ValueError, match="`classes` must be at least 1. Received: 0"):
        kv.visualize.class_colors(0)


def test_boxes_that_do_not_fit():
    draw = kv.visualize.draw_boxes
    with pytest.raises(ValueError, match=r"`boxes` must be finite numbers .*shape \(1, 3\)"):
        draw(GREY, [[0, 0, 1]])
    with pytest.raises(ValueError, match="with NaN or infinity"):
        draw(GREY, [[0, 0, 1, np.nan]])
    with pytest.raises(ValueError, match="`classes` must be as many as the boxes. Received: 2 for"):
        draw(GREY, [BOX], [0, 1])
    with pytest.raises(ValueError, match="`scores` must be as many as the boxes"):
        draw(GREY, [BOX], [0], [])
    with pytest.raises(ValueError, match="`names` must name every class. Received 4 names and cla"):
        draw(GREY, [BOX], [4], names=NAMES)
    with pytest.raises(ValueError, match="`score_threshold` must be .*Received: 1 and class 1"):
        draw(GREY, [BOX], [1], [0.5], score_threshold=[0.5])


def gallery():
    """One picture with each kind of box, and a second one with nothing."""
    a, b, c, d = [0, 0, 0.2, 0.2], [0, 0.5, 0.2, 0.7], [0.5, 0, 0.7, 0.2], [0.4, 0.4, 1, 1]
    e, nothing = [0.7, 0.1, 0.8, 0.2], [0, 0, 0, 0]
    truth = {
        "boxes": np.array([[a, b, c, d, nothing], [nothing] * 5]),
        "classes": np.array([[0, 0, 1, 1, -1], [-1] * 5]),
        "difficult": np.array([[0, 0, 1, 0, 0], [0] * 5], bool),
        "crowd": np.array([[0, 0, 0, 1, 0], [0] * 5], bool),
        "size": np.full((2, 2), 100),
    }
    on_crowd = [0.5, 0.5, 0.6, 0.6]
    found = {
        "boxes": np.array([[a, a, c, on_crowd, e, b], [nothing] * 6]),
        "classes": np.array([[0, 0, 1, 1, 0, 0], [-1] * 6]),
        "scores": np.array([[0.9, 0.8, 0.7, 0.7, 0.6, 0.2], [0.0] * 6]),
    }
    return np.zeros((2, 100, 120, 3)), found, truth


def boxes_of(axis):
    """Colour, line and left upper corner of the boxes, without the light ones beneath them."""
    patches = [p for p in axis.patches if isinstance(p, Rectangle)]
    return sorted(
        (to_hex(p.get_edgecolor()), p.get_linestyle(), p.get_x() + 0.5, p.get_y() + 0.5)
        for p in patches
        if to_hex(p.get_edgecolor()) != "#ffffff"
    )


def test_gallery_tells_hits_misses_and_false_alarms():
    figure = rendered(kv.visualize.detections(*gallery(), NAMES))
    truth, prediction, *empty = figure.axes
    assert (truth.get_title(), prediction.get_title()) == ("truth", "prediction")
    assert boxes_of(truth) == sorted(
        [(BLUE, "-", 0, 0), (BLUE, "-", 60, 0), (MUTED, "-.", 0, 50), (MUTED, "-.", 48, 40)]
    )
    assert boxes_of(prediction) == sorted(
        [
            (GREEN, "-", 0, 0),
            (RED, "--", 0, 0),  # the second of the same
            (MUTED, "-.", 0, 50),
            (MUTED, "-.", 60, 50),
            (RED, "--", 12, 70),
            (ORANGE, ":", 60, 0),  # found, but with too low a score
        ]
    )
    assert "cat 90%" in [text.get_text() for text in prediction.texts]
    assert [boxes_of(axis) for axis in empty] == [[], []]
    [legend] = figure.legends
    words = [text.get_text() for text in legend.get_texts()]
    assert words == ["true object", "found", "false alarm", "missed", "not counted"]
    images, *tables = gallery()
    tables = [[{k: v[i] for k, v in table.items()} for i in range(2)] for table in tables]
    tables[0][1] = {key: values[:0] for key, values in tables[0][1].items()}
    low = rendered(kv.visualize.detections(images, *tables, score_threshold=[0.1, 0.1]))
    assert (GREEN, "-", 60, 0) in boxes_of(low.axes[1])
    assert "0 90%" in [text.get_text() for text in low.axes[1].texts]


def test_gallery_without_truth_and_with_masks():
    images, found, truth = gallery()
    figure = rendered(kv.visualize.detections(images, found, names=NAMES))
    colors = [to_hex(color / 255) for color in kv.visualize.class_colors(2)]
    assert {box[0] for box in boxes_of(figure.axes[0])} == set(colors)
    assert not figure.legends
    masks = np.zeros((2, 6, 28, 28))
    masks[0, 0] = 1
    figure = rendered(kv.visualize.detections(images, {**found, "masks": masks}, truth))
    pixels = figure.axes[1].images[0].get_array()
    assert pixels[10, 10].tolist() != [0, 0, 0] == pixels[50, 60].tolist()


def test_gallery_of_what_does_not_fit():
    images, found, truth = gallery()
    with pytest.raises(ValueError, match="at least one picture to draw. Received none"):
        kv.visualize.detections([], found)
    with pytest.raises(
        ValueError, match="`predictions` must have a row for each of 1 .*'boxes': 2"
    ):
        kv.visualize.detections(images[:1], found)
    cut = {key: values[:1] for key, values in truth.items()}
    with pytest.raises(ValueError, match="`truths` must have a row for each of 2 .*'boxes': 1"):
        kv.visualize.detections(images, found, cut)
    with pytest.raises(ValueError, match="`truths` must have a row for each of 2 .*Received: 0"):
        kv.visualize.detections(images, found, [])


@pytest.fixture(scope="module")
def result():
    return kv.evaluation.evaluate_detector(*in_batches(world(1)), NAMES)


def test_precision_recall_draws_the_curves(result):
    figure = rendered(kv.visualize.precision_recall(result["curves"], NAMES))
    for axis, key, level in zip(figure.axes, ("precision_50", "precision_75"), (0, 1), strict=True):
        lines = axis.get_lines()
        assert len(lines) == 4  # no cows, and the mean
        curves = [curve for curve in result["curves"][key] if curve]
        for line, curve in zip(lines[:3], curves, strict=True):
            np.testing.assert_array_equal(line.get_xydata()[:, 1], curve)
        assert len({line.get_linestyle() for line in lines[:3]}) == 3
        mean = np.mean(curves, 0)
        np.testing.assert_allclose(lines[3].get_xydata()[:, 1], mean)
        number = (result["coco"]["AP50"], result["coco"]["AP75"])[level]
        assert axis.get_title().endswith(f"mean AP {number:.1%}")
        assert axis.get_legend().get_texts()[0].get_text().startswith("cat")
    many = {
        "recall": [0.0, 1.0],
        "precision_50": [[1.0, 0.5]] * 11,
        "precision_75": [[1.0, 0.0]] * 11,
    }
    legend = rendered(kv.visualize.precision_recall(many, range(11))).axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["mean  75.0%"]
    with pytest.raises(ValueError, match="`names` must be one for each of 4 curves. Received: 1"):
        kv.visualize.precision_recall(result["curves"], ["cat"])
    none = {"recall": [0.0], "precision_50": [None], "precision_75": [None]}
    with pytest.raises(ValueError, match="must hold a class with objects"):
        kv.visualize.precision_recall(none, ["cat"])


def test_per_class_ap_names_and_numbers(result):
    rows = [dict(row, mask_AP=0.5 if row["AP"] else None) for row in result["per_class"]]
    figure = rendered(kv.visualize.per_class_ap(rows))
    axis = figure.axes[0]
    ordered = sorted(rows, key=lambda row: row["AP"] or -1)
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert labels == [f"{row['name']} ({row['objects']})" for row in ordered]
    widths = [bar.get_width() for bar in axis.patches]
    assert widths == [row["AP50"] or 0 for row in ordered] + [row["AP"] or 0 for row in ordered]
    texts = [text.get_text() for text in axis.texts]
    assert texts[0] == "does not occur"
    assert texts[-1] == f"{ordered[-1]['AP']:.1%} / {ordered[-1]['AP50']:.1%}"
    assert len(axis.collections[0].get_offsets()) == 3
    assert axis.get_title() == (
        f"mean AP {result['coco']['AP']:.1%}, AP50 {result['coco']['AP50']:.1%}"
    )
    plain = rendered(kv.visualize.per_class_ap(result["per_class"], "mine"))
    assert (plain.axes[0].get_title(), len(plain.axes[0].collections)) == ("mine", 0)
    nothing = rendered(kv.visualize.per_class_ap(result["per_class"][3:]))
    assert nothing.axes[0].get_title() == "no class occurs"
    with pytest.raises(ValueError, match="at least one class"):
        kv.visualize.per_class_ap([])


def test_detection_errors_draws_shares_and_gains(result):
    figure = rendered(kv.visualize.detection_errors(result["errors"]))
    left, right = figure.axes
    kinds = list(result["errors"])[::-1]
    assert [label.get_text() for label in left.get_yticklabels()] == kinds
    assert [bar.get_width() for bar in left.patches] == [
        result["errors"][k]["share"] for k in kinds
    ]
    gains = [result["errors"][kind]["gain"] or 0 for kind in kinds]
    assert [bar.get_width() for bar in right.patches] == gains
    assert right.texts[0].get_text() == f"{100 * gains[0]:+.1f}"
    assert left.patches[0].get_hatch()
    assert not left.patches[-1].get_hatch()
    empty = {**result["errors"], "missed": {"count": 0, "share": None, "gain": None}}
    with pytest.raises(ValueError, match="a data set with objects. Received none"):
        kv.visualize.detection_errors(empty)
