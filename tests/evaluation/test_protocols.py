"""Which pixels a protocol shows, in which order it averages, and what it refuses."""

import json

import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import kvision as kv
from kvision.evaluation import protocols


def ramp(height, width, channels=1):
    """A picture whose pixels say where they are: 10 y + x."""
    pixels = np.add.outer(10.0 * np.arange(height), np.arange(width))
    return np.repeat(pixels[..., None], channels, axis=-1)


class Watcher:
    """A classifier that remembers what it was shown; its answer is made from the pixels."""

    def __init__(self, shape, answer):
        self.input_shape, self.answer, self.seen = shape, answer, []

    def predict(self, images, batch_size):
        assert batch_size == len(images)
        self.seen += list(images)
        return np.stack([self.answer(image) for image in images])


def flat(image):
    return np.array([0.7, 0.2, 0.1])


def corner_of(view):
    """Where on the ramp a view begins, and whether it is mirrored."""
    is_mirrored = view[0, 0, 0] > view[0, -1, 0]
    first = view[0, -1 if is_mirrored else 0, 0]
    return divmod(int(first), 10), bool(is_mirrored)


def crops(model, examples, **options):
    return kv.evaluation.multi_crop_evaluation(model, examples, **options)


def test_a_hundred_and_fifty_views():
    """Simonyan and Zisserman: 50 crops a scale (5x5 with their mirrors), 150 over three."""
    model = Watcher((8, 8, 1), flat)
    result = crops(model, [(ramp(9, 12), 0)], scales=(8, 10, 12))
    assert len(model.seen) == result["views"] == 150
    assert {view.shape for view in model.seen} == {(8, 8, 1)}


def test_places_of_a_grid():
    model = Watcher((4, 4, 1), flat)
    crops(model, [(ramp(8, 10), 0)], scales=(8,), grid=3)
    expected = {(y, x) for y in (0, 2, 4) for x in (0, 3, 6)}
    assert sorted(map(corner_of, model.seen)) == sorted(
        (place, mirrored) for place in expected for mirrored in (False, True)
    )
    np.testing.assert_array_equal(model.seen[9], model.seen[0][:, ::-1])


def test_ten_crops_are_of_the_central_square_and_one_of_its_middle():
    """Krizhevsky et al.: the square is cut out first, then four corners and the centre of it."""
    model = Watcher((4, 4, 1), flat)
    assert crops(model, [(ramp(6, 10), 0)], scales=(6,), crops="ten")["views"] == 10
    places = [corner_of(view)[0] for view in model.seen[:5]]
    assert places == [(0, 2), (0, 4), (2, 2), (2, 4), (1, 3)]
    model = Watcher((4, 6, 1), flat)
    assert crops(model, [(ramp(6, 9), 0)], scales=(6,), crops="centre")["views"] == 1
    assert [corner_of(view) for view in model.seen] == [((1, 1), False)]
    assert crops(model, [(ramp(6, 9), 0)], scales=6, crops="centre", mirror=True)["views"] == 2


def test_pictures_are_rescaled_by_their_shorter_side_and_smoothed():
    model = Watcher((None, None, 1), lambda view: np.ones((1, 1, 2)))
    stripes = np.zeros((40, 60, 1), "uint8")
    stripes[:, ::4] = 200  # a mean of 50, of which plain sampling would see 0 or 200
    result = kv.evaluation.dense_evaluation(model, [(stripes, 0)], scales=(10, 80))
    assert [view.shape for view in model.seen] == [(10, 15, 1)] * 2 + [(80, 120, 1)] * 2
    np.testing.assert_allclose(model.seen[0][:, 1:-1], 50.0, atol=3)
    assert result["scales"] == [10, 80]
    assert result["views"] == 4


# The mean of these favours class 0, the mean of their softmax class 1.
ONE_SURE_OF_FOUR = np.array([[9.0, 0.0], [0.0, 2.0], [0.0, 2.0], [0.0, 2.0]])


def test_dense_positions_are_averaged_before_the_softmax():
    """Simonyan and Zisserman: the class score map is spatially averaged."""
    model = Watcher((None, None, 1), lambda view: ONE_SURE_OF_FOUR.reshape(2, 2, 2))
    result = kv.evaluation.dense_evaluation(model, [(ramp(8, 8), 0)], scales=8, from_logits=True)
    assert result["top_1_error"] == 0.0


@pytest.mark.parametrize(("from_logits", "winner"), [(False, 0), (True, 1)])
def test_dense_mirrors_and_scales_are_averaged_after_the_softmax(from_logits, winner):
    answers = iter(ONE_SURE_OF_FOUR)
    model = Watcher((None, None, 1), lambda view: next(answers)[None, None])
    result = kv.evaluation.dense_evaluation(
        model, [(ramp(8, 9), winner)], scales=(8, 12), from_logits=from_logits, top=1
    )
    assert result["top_1_error"] == 0.0
    assert [view.shape for view in model.seen] == [(8, 9, 1)] * 2 + [(12, 14, 1)] * 2
    np.testing.assert_array_equal(model.seen[0], ramp(8, 9))
    np.testing.assert_array_equal(model.seen[1], ramp(8, 9)[:, ::-1])
    np.testing.assert_array_equal(model.seen[3], model.seen[2][:, ::-1])


def test_grey_and_colour_become_what_the_model_takes():
    red, green, blue = np.eye(3)[:, None, None] * 200
    model = Watcher((1, 1, 1), flat)
    crops(model, [(red, 0), (green, 0), (blue, 0)], scales=1, crops="centre")
    luma = [0.2989 * 200, 0.587 * 200, 0.114 * 200]  # ITU-R 601
    assert np.ravel(model.seen).tolist() == pytest.approx(luma)
    model = Watcher((1, 1, 3), flat)
    crops(model, [(ramp(1, 1) + 7, 0)], scales=1, crops="centre")
    assert np.ravel(model.seen).tolist() == [7, 7, 7]


def test_softmax_comes_before_averaging_where_asked():
    """One very sure view must not outvote three others once each view has one vote."""
    answers = iter([*ONE_SURE_OF_FOUR] * 2)
    model = Watcher((4, 4, 1), lambda view: next(answers))
    options = {"scales": (6,), "grid": 2, "mirror": False}
    assert crops(model, [(ramp(6, 6), 1)], **options)["top_1_error"] == 1.0
    assert crops(model, [(ramp(6, 6), 1)], **options, from_logits=True)["top_1_error"] == 0.0


def test_dense_and_crops_agree_where_the_place_does_not_matter():
    """A classifier by colour; pictures of one colour."""
    random = np.random.default_rng(1)
    colours = random.uniform(0, 255, (60, 3))
    examples = [
        {"image": np.broadcast_to(colour, (9, 9 + i % 5, 3)), "label": np.int64(random.integers(3))}
        for i, colour in enumerate(colours)
    ]
    image = keras.Input((8, 8, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 60)(image))
    model = keras.Model(image, keras.layers.Dense(3, "softmax")(pooled))
    dense = kv.evaluation.dense_evaluation(
        kv.models.convolutionalize(model), examples, scales=(9, 12), top=2
    )
    cropped = crops(model, examples, scales=(9, 12), top=2)
    expected = kv.evaluation.evaluate_classifier(
        model,
        [(np.broadcast_to(colours[:, None, None], (60, 8, 8, 3)), [e["label"] for e in examples])],
        top=2,
    )
    for result in (dense, cropped):
        assert result["samples"] == 60
        assert result["top_1_error"] == pytest.approx(1 - expected["accuracy"])
        assert result["top_k_error"] == pytest.approx(1 - expected["top_k_accuracy"])
        low, high = result["top_1_error_interval"]
        assert (1 - high, 1 - low) == pytest.approx(expected["accuracy_interval"])
        json.dumps(result)


def digits_classifier():
    """LeNet-5's input, a linear classifier inside: trained by scikit-learn in a second."""
    pixels = [e["image"].numpy() for e in kv.data.load("digits", "train")]
    labels = [int(e["label"]) for e in kv.data.load("digits", "train")]
    fitted = LogisticRegression(max_iter=300).fit(np.reshape(pixels, (-1, 64)) / 255, labels)
    image = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, keras.layers.Dense(10, "softmax", name="predictions")(x))
    model.get_layer("predictions").set_weights([fitted.coef_.T, fitted.intercept_])
    return model


def test_digits_by_every_protocol(digits_run):
    digits = kv.data.load("digits", "test[:120]")
    model = keras.models.load_model(digits_run / "model.keras")
    for loaded in (model, kv.export.load(digits_run / "model_int8.tflite")):
        result = crops(loaded, digits, scales=(32,), crops="centre")
        assert result["samples"] == 120
        assert result["top_1_error"] < 0.1
    sliding = kv.models.convolutionalize(model)
    dense = kv.evaluation.dense_evaluation(sliding, digits, scales=(32,), mirror=False)
    assert dense["top_1_error"] == crops(model, digits, scales=32, crops="centre")["top_1_error"]
    assert 0 <= dense["top_k_error"] < dense["top_1_error"] + 1e-9
    rgb = [{"image": np.repeat(e["image"], 3, -1), "label": e["label"]} for e in digits]
    grey = kv.evaluation.dense_evaluation(sliding, rgb, scales=(32,), mirror=False)
    assert grey["top_1_error"] == pytest.approx(dense["top_1_error"], abs=0.02)


def test_mirrors_cost_digits_their_legibility():
    """Half of what the classifier sees is mirror writing, so the protocol must do worse."""
    digits, model = kv.data.load("digits", "test"), digits_classifier()
    plain = crops(model, digits, scales=(8,), crops="centre")
    both = crops(model, digits, scales=(8,), crops="centre", mirror=True)
    assert plain["top_1_error"] + 0.02 < both["top_1_error"]


def test_a_file_that_slides(tmp_path):
    sliding = kv.models.convolutionalize(digits_classifier())
    sliding.save(tmp_path / "sliding.keras")
    digits = kv.data.load("digits", "test[:30]")
    options = {"scales": (8, 10), "mirror": False}
    assert kv.evaluation.dense_evaluation(
        kv.export.load(tmp_path / "sliding.keras"), digits, **options
    ) == kv.evaluation.dense_evaluation(sliding, digits, **options)


def test_a_model_of_several_replicas_sees_every_picture_once():
    with kv.training.strategy(devices=2).scope():
        model = keras.Sequential(
            [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10, "softmax")]
        )
    digits = kv.data.load("digits", "test[:5]")
    assert crops(model, digits, scales=(8,), crops="centre")["samples"] == 5
    sliding = kv.models.convolutionalize(model)
    assert kv.evaluation.dense_evaluation(sliding, digits, scales=(9,))["samples"] == 5


def test_long_runs_say_how_far_they_are(monkeypatch, capsys):
    monkeypatch.setattr(protocols, "SECONDS_BETWEEN_LINES", 0.0)
    crops(Watcher((4, 4, 1), flat), [(ramp(4, 4), 1)] * 130, scales=4, crops="centre")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" images")[0] for line in lines] == ["64 of 130", "128 of 130", "130 of 130"]
    assert lines[0].endswith("top-1 error 100.00% so far")


@pytest.mark.parametrize(
    ("example", "message"),
    [
        ({"image": ramp(8, 8)}, r"`image` and `label`.*\['image'\]"),
        (ramp(8, 8), "Received: ndarray"),
        ((ramp(8, 8)[None], np.array([1])), "single examples"),
        ((ramp(8, 8), 0.5), "a whole number"),
        ((ramp(8, 8)[..., 0], 1), "single examples"),
        ((ramp(8, 8), 3), "Labels must be 0 to 2"),
        ((ramp(8, 8), -1), "Labels must be 0 to 2"),
        ((ramp(8, 8, channels=4), 1), "grey or RGB"),
    ],
)
def test_wrong_examples(example, message):
    with pytest.raises(ValueError, match=message):
        crops(Watcher((8, 8, 1), flat), [example], scales=8)
    sliding = Watcher((None, None, 1), lambda view: flat(view)[None, None])
    with pytest.raises(ValueError, match=message):
        kv.evaluation.dense_evaluation(sliding, [example], scales=8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crops": "corners"}, "one of .'grid', 'ten', 'centre'.*'corners'"),
        ({"scales": (10, 7)}, r"at least the crop's 8 pixels. Received: \[7, 10\]"),
        ({"scales": ()}, "`scales` must be"),
        ({"scales": (0.5,)}, "`scales` must be"),
        ({"grid": 0}, "`grid` must be"),
        ({"top": 0}, "`top` must be"),
        ({"crop_size": 7}, r"`crop_size` must be.*\(7, 7\) for an input of \(8, 8\)"),
        ({"dataset": []}, "empty data set"),
    ],
)
def test_wrong_options(options, message):
    options = {"dataset": [(ramp(8, 8), 1)], "scales": 8, **options}
    with pytest.raises(ValueError, match=message):
        kv.evaluation.multi_crop_evaluation(Watcher((8, 8, 1), flat), **options)


def test_models_that_do_not_fit_a_protocol():
    examples = [(ramp(8, 8), 1)]
    dense = kv.evaluation.dense_evaluation
    with pytest.raises(ValueError, match="any size. Received one for 8x8. Pass `kv.models.conv"):
        dense(Watcher((8, 8, 1), flat), examples)
    with pytest.raises(ValueError, match=r"must give a map .* Received \(2, 3\)"):
        dense(Watcher((None, None, 1), flat), examples, scales=8)
    with pytest.raises(ValueError, match="Received 20, on which it has no position"):
        dense(kv.models.convolutionalize(kv.models.LeNet5()), examples, scales=(40, 20))
    with pytest.raises(ValueError, match=r"must give \(n, classes\)"):
        crops(Watcher((8, 8, 1), lambda view: flat(view)[None]), examples, scales=8)
    with pytest.raises(ValueError, match=r"for an input of \(None, None\)"):
        crops(Watcher((None, None, 1), flat), examples, scales=8)
    wide = Watcher((None, None, 1), flat)
    assert crops(wide, examples, scales=8, crop_size=(4, 6))["crop_size"] == [4, 6]
    image = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(image)
    two = keras.Model(image, {"a": keras.layers.Dense(3)(x), "b": keras.layers.Dense(3)(x)})
    with pytest.raises(ValueError, match="must have one output"):
        crops(two, examples, scales=8)
    twice = Watcher((8, 8, 1), flat)
    twice.predict = lambda images, batch_size: np.ones((2 * len(images), 3))
    with pytest.raises(ValueError, match="one answer for each picture. Received 2 for 1"):
        crops(twice, examples, scales=8, crops="centre")
