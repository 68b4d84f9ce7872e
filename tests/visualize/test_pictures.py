"""Figures are looked at by people; here: that they show the right numbers and refuse wrong ones."""

import io

import numpy as np
import pytest

import kvision as kv


def rendered(figure):
    figure.savefig(io.BytesIO(), format="png")
    return [text.get_text() for axis in figure.axes for text in (*axis.texts, axis.title)]


def test_learning_curves_from_csv(tmp_path):
    (tmp_path / "history.csv").write_text(
        "epoch,accuracy,learning_rate,loss,val_accuracy,val_loss\n"
        "0,0.5,0.1,1.0,0.4,1.2\n1,0.7,0.1,0.6,0.8,0.9\n2,0.9,0.1,0.3,0.6,1.1\n"
    )
    figure = kv.visualize.learning_curves(tmp_path / "history.csv")
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == [
        "loss: best validation 0.9, epoch 2",
        "accuracy: best validation 0.8, epoch 2",
    ]
    lines = figure.axes[0].get_lines()
    assert list(lines[0].get_xdata()) == [1, 2, 3]
    assert list(lines[1].get_ydata()) == [1.2, 0.9, 1.1]
    assert figure.axes[0].get_xlabel() == "epoch"
    rendered(figure)


def test_learning_curves_of_many_losses_come_in_rows():
    figure = kv.visualize.learning_curves({f"side{number}_loss": [2.0, 1.0] for number in range(7)})
    rendered(figure)
    assert [axis.get_title() for axis in figure.axes] == [f"side{n} loss" for n in range(7)]
    heights = {round(axis.get_position().y0, 2) for axis in figure.axes}
    assert len(heights) == 2
    width, height = figure.get_size_inches()
    assert width < 3 * height


def test_learning_curves_without_validation_and_errors():
    figure = kv.visualize.learning_curves({"loss": [3.0, 2.0]})
    assert [axis.get_title() for axis in figure.axes] == ["loss"]
    with pytest.raises(ValueError, match="at least one epoch"):
        kv.visualize.learning_curves({})
    with pytest.raises(ValueError, match="metrics=\\['auc'\\]"):
        kv.visualize.learning_curves({"loss": [1.0]}, metrics=["auc"])


def test_error_curves(tmp_path):
    (tmp_path / "history.csv").write_text("epoch,accuracy,val_accuracy\n0,0.5,0.4\n1,0.9,0.8\n")
    small = tmp_path / "history.csv"
    large = {"accuracy": [0.3, 0.6], "val_accuracy": [0.2, 0.55]}
    panels = {"plain": {"20": small, "56": large}, "residual": {"56": {"accuracy": [0.95]}}}
    figure = kv.visualize.error_curves(panels, highest=60)
    plain, residual = figure.axes
    assert [plain.get_title(), residual.get_title()] == ["plain", "residual"]
    assert plain.get_ylim() == residual.get_ylim() == (0, 60)
    lines = {line.get_label(): line for line in plain.get_lines()}
    assert list(lines) == ["20, training", "20, test", "56, training", "56, test"]
    assert list(lines["20, training"].get_xdata()) == [1, 2]
    np.testing.assert_allclose(lines["20, test"].get_ydata(), [60, 20])
    np.testing.assert_allclose(lines["56, training"].get_ydata(), [70, 40])
    assert lines["20, training"].get_linestyle() == "--"
    assert lines["20, training"].get_linewidth() < lines["20, test"].get_linewidth()
    colors = {label: line.get_color() for label, line in lines.items()}
    assert colors["20, training"] == colors["20, test"] != colors["56, test"]
    [alone] = residual.get_lines()
    assert (alone.get_color(), list(alone.get_xdata())) == (colors["56, test"], [1])
    rendered(figure)


@pytest.mark.parametrize(
    ("histories", "message"),
    [
        ({}, "at least one history"),
        ({"plain": {}}, "at least one history"),
        ({"plain": {"20": {"loss": [1.0]}}}, r"'20' must hold 'accuracy' .*Received: \['loss'\]"),
    ],
)
def test_error_curves_need_histories(histories, message):
    with pytest.raises(ValueError, match=message):
        kv.visualize.error_curves(histories)


def test_confusion_matrix():
    texts = rendered(kv.visualize.confusion_matrix([[9, 1], [0, 10]], ["cat", "dog"]))
    assert {"9", "1", "10", "95.00% of 20 right"} <= set(texts)
    assert "0" not in texts
    large = kv.visualize.confusion_matrix(
        np.eye(100, dtype=int), [f"class {i}" for i in range(100)]
    )
    assert not large.axes[0].texts
    assert len(large.axes[0].get_xticks()) <= 40
    with pytest.raises(ValueError, match=r"must be of shape \(3, 3\)"):
        kv.visualize.confusion_matrix([[1, 0], [0, 1]], ["a", "b", "c"])


@pytest.mark.parametrize("channels", [1, 3])
def test_predictions(channels):
    images = np.zeros((3, 8, 8, channels))
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    figure = kv.visualize.predictions(images, scores, ["cat", "dog"], labels=[0, 1, 1], columns=2)
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["cat  90%", "dog  80%", "cat  60%\ntrue: dog", ""]
    rendered(figure)


def test_predictions_need_pictures():
    with pytest.raises(ValueError, match="at least one picture"):
        kv.visualize.predictions([], [], ["cat"])


def test_what_stands_above_pictures_of_one_score_and_of_several_labels():
    from kvision.visualize.figure import GREEN, RED

    def told(scores, names, labels):
        figure = kv.visualize.predictions(np.zeros((len(scores), 4, 4, 1)), scores, names, labels)
        titles = [axis.title for axis in figure.axes[: len(scores)]]
        return [(title.get_text(), title.get_color()) for title in titles]

    assert told([[0.007], [0.993]], ["dog", "cat"], [0, 0]) == [
        ("dog  99%", GREEN),
        ("cat  99%\ntrue: dog", RED),
    ]
    several = [[0.9, 0.8, 0.2], [0.1, 0.4, 0.2]]
    assert told(several, ["a", "b", "c"], [[1, 1, 0], [0, 1, 0]]) == [
        ("a  90%, b  80%", GREEN),
        ("nothing\ntrue: b", RED),
    ]


@pytest.mark.parametrize("name", [r"$\frac$", "$", r"\$a$", "[/b]"])
def test_names_are_drawn_letter_by_letter(name):
    from kvision.visualize.figure import shorten

    figure = kv.visualize.confusion_matrix([[1, 0], [0, 1]], [name, "b"])
    figure.savefig(io.BytesIO())
    kv.visualize.predictions(np.zeros((1, 4, 4, 1)), [[0.9, 0.1]], [name, "b"], [1]).savefig(
        io.BytesIO()
    )
    assert shorten("$a$") == r"\$a\$"
