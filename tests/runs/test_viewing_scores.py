"""What `kvision predict` says of one score, of logits and of several labels."""

import numpy as np
import pytest

from kvision.runs.viewers.classes import ClassViewer
from kvision.runs.viewers.edges import EdgeViewer
from kvision.runs.viewers.masks import MaskViewer

PHOTO = np.full((6, 6, 3), 200, "uint8")


class Model:
    """A model whose scores follow from the mean of the picture, 0..1."""

    input_shape = (4, 4, 3)

    def __init__(self, scores, labels=None):
        self.scores, self.labels = scores, labels

    def predict(self, images):
        means = np.asarray(images, "float32").mean((1, 2, 3)) / 255
        return np.stack([np.asarray(self.scores(mean), "float32") for mean in means])


@pytest.mark.parametrize(
    ("score", "said"),
    [(0.993, "class 1 99.3%, class 0 0.7%"), (0.007, "class 0 99.3%, class 1 0.7%")],
)
def test_one_probability(score, said):
    viewer = ClassViewer(Model(lambda mean: [score]), "stretch", 3)
    assert viewer.look(PHOTO) == said
    assert viewer.note == ""
    named = ClassViewer(Model(lambda mean: [score], ["cat"]), "stretch", 1)
    assert named.look(PHOTO) == ("cat 99.3%" if score > 0.5 else "not cat 99.3%")


def test_logits_are_said_as_probabilities():
    viewer = ClassViewer(Model(lambda mean: [4 * mean, -1.0]), "stretch", 2)
    likely = 1 / (1 + np.exp(-1 - 4 * 200 / 255))
    assert viewer.look(PHOTO) == f"class 0 {likely:.1%}, class 1 {1 - likely:.1%}"
    assert "logits" in viewer.note


def test_several_classes_may_be_right():
    viewer = ClassViewer(Model(lambda mean: [0.9 * mean, 0.8, 0.1]), "stretch", 2)
    assert viewer.look(PHOTO).startswith("class 1 80.0%")
    assert "several classes may be right" in viewer.note


def test_one_score_a_pixel(tmp_path):
    def half(mean):
        return np.where(np.arange(16).reshape(4, 4, 1) < 4, 0.9, 0.2)

    viewer = MaskViewer(Model(half), "stretch", 3, False)
    assert viewer.look(PHOTO) == "pixels: class 0 75.0%, class 1 25.0%"
    viewer.save(tmp_path / "masks.png")
    assert (tmp_path / "masks.png").stat().st_size


def test_edges_are_told_by_how_sure_they_are(tmp_path):
    def line(mean):
        return np.where(np.arange(16).reshape(4, 4, 1) < 4, 0.9, 0.2)

    viewer = EdgeViewer(Model(line), "stretch")
    assert viewer.look(PHOTO) == "edges at 25.0% of the pixels, the surest 90.0%"
    viewer.save(tmp_path / "edges.png")
    assert (tmp_path / "edges.png").stat().st_size
    fused = Model(line)
    answer = fused.predict
    fused.predict = lambda images: {"fuse": answer(images), "side_1": 0 * answer(images)}
    assert EdgeViewer(fused, "crop").look(PHOTO) == viewer.look(PHOTO)
