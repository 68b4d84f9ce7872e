"""Average precision in the logs of `fit`, for all callbacks that come after it."""

import csv
import math

import keras
import numpy as np
import pytest
from prepared_detections import NAMES, Fixed, in_batches, world

import kvision as kv


@keras.saving.register_keras_serializable(package="kvision_tests")
class Learner(keras.Model):
    """Finds nothing until its weight, which grows by 1 each epoch, is high enough."""

    def __init__(self, found_from, masks=False, diverges=False, **kwargs):
        super().__init__(**kwargs)
        self.found_from, self.masks, self.diverges = found_from, masks, diverges
        self.counter = self.add_weight(name="counter", initializer="zeros")

    def get_config(self):
        return {"found_from": self.found_from, "masks": self.masks, "diverges": self.diverges}

    def call(self, images):
        shape = (keras.ops.shape(images)[0], 2)
        seen = keras.ops.cast(self.counter >= self.found_from, "float32")
        outputs = {
            "boxes": keras.ops.ones((*shape, 4)) * keras.ops.array([0.0, 0.0, 0.5, 0.5]),
            "classes": keras.ops.zeros(shape, "int32"),
            "scores": keras.ops.ones(shape) * keras.ops.array([1.0, 0.0]) * seen,
        }
        if self.masks:
            outputs["masks"] = keras.ops.ones((*shape, 4, 4))
        return outputs

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        # The gradient is -1; a diverging one gets NaN from the second epoch on.
        return -self.counter if not self.diverges else keras.ops.sqrt(0.5 - self.counter)


def batches(masks=False):
    truth = {
        "boxes": np.array([[[0.0, 0.0, 0.5, 0.5]]] * 2, "float32"),
        "classes": np.zeros((2, 1), "int32"),
    }
    if masks:
        truth["masks"] = np.zeros((2, 1, 8, 8), "uint8")
        truth["masks"][:, :, :4, :3] = 1
    return [(np.zeros((2, 8, 8, 3), "float32"), truth)]


def fit(model, callbacks, epochs=4, **options):
    model.compile(keras.optimizers.SGD(1.0))
    images, data = np.zeros((2, 8, 8, 3)), np.zeros((2, 1))
    return model.fit(
        images, data, batch_size=2, epochs=epochs, callbacks=callbacks, verbose=0, **options
    )


def test_later_callbacks_see_it(tmp_path):
    scores = kv.evaluation.DetectionScores(batches(), ["cat"])
    log = keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))
    history = fit(Learner(found_from=3), [scores, log]).history
    for values in (history["val_AP"], history["val_AP50"]):
        assert values == pytest.approx([0, 0, 1, 1])
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert [round(float(row["val_AP"]), 6) for row in rows] == [0, 0, 1, 1]
    assert set(rows[0]) == {"epoch", "loss", "val_AP", "val_AP50"}


def test_a_run_keeps_the_epoch_of_the_best_ap(tmp_path):
    inputs = keras.Input((8, 8, 3))
    wrapped = Learner(found_from=2)
    model = keras.Model(inputs, wrapped(inputs))
    model.compute_loss = wrapped.compute_loss
    scores = kv.evaluation.DetectionScores(batches())
    run = kv.training.callbacks(tmp_path, monitor="val_AP", mode="max", patience=2)
    images = np.zeros((2, 8, 8, 3))
    history = fit(model, [scores, *run], epochs=9, validation_data=(images, np.zeros((2, 1))))
    assert history.history["val_AP"] == pytest.approx([0, 1, 1, 1])  # two epochs no better, stop
    assert float(wrapped.counter) == 2
    rows = list(csv.DictReader((tmp_path / "history.csv").open()))
    assert [round(float(row["val_AP50"]), 6) for row in rows] == [0, 1, 1, 1]
    assert (tmp_path / "model.keras").exists()


def test_between_scores_there_is_nan_and_the_run_passes_over_it(tmp_path):
    scores = kv.evaluation.DetectionScores(batches(), frequency=2, prefix="test_")
    watch = kv.training.callbacks(tmp_path, monitor="test_AP", mode="max")
    history = fit(Learner(found_from=3), [scores, watch[1]]).history
    assert np.isnan(history["test_AP"]).tolist() == [True, False, True, False]
    assert history["test_AP"][1::2] == pytest.approx([0, 1])
    assert (watch[1].best_epoch, watch[1].improved) == (3, True)


def test_the_last_epoch_is_scored():
    scores = kv.evaluation.DetectionScores(batches(), frequency=2)
    history = fit(Learner(found_from=3), [scores], epochs=3).history
    assert np.isnan(history["val_AP"]).tolist() == [True, False, False]
    assert history["val_AP"][2] == pytest.approx(1)


def test_masks_are_scored_too():
    model = Learner(found_from=2, masks=True)
    history = fit(model, [kv.evaluation.DetectionScores(batches(masks=True))], 3).history
    assert history["val_AP"] == pytest.approx([0, 1, 1])
    assert history["val_mask_AP50"] == pytest.approx([0, 1, 1])
    # 12 true of 16 predicted pixels: right up to an IoU of 0.75, six thresholds of ten.
    assert history["val_mask_AP"] == pytest.approx([0, 0.6, 0.6])


def test_a_functional_model_with_masks_has_their_columns_from_the_first_epoch():
    inputs = keras.Input((8, 8, 3))
    wrapped = Learner(found_from=0, masks=True)
    model = keras.Model(inputs, wrapped(inputs))
    model.compute_loss = wrapped.compute_loss
    callback = kv.evaluation.DetectionScores(batches(masks=True), frequency=2)
    history = fit(model, [callback], 2).history
    assert math.isnan(history["val_mask_AP"][0])
    assert history["val_mask_AP"][1] == pytest.approx(0.6)


def test_a_diverged_epoch_is_not_scored():
    callback = kv.evaluation.DetectionScores(batches())
    history = fit(Learner(found_from=0, diverges=True), [callback], 2).history
    assert np.isfinite(history["loss"]).tolist() == [True, False]
    assert np.isnan(history["val_AP"]).tolist() == [False, True]
    model = Learner(found_from=0)
    model.counter.assign(math.inf)  # by the last step of an epoch, whose loss was still finite
    callback.set_model(model)
    logs = {"loss": 1.0}
    callback.on_epoch_end(0, logs)
    assert math.isnan(logs["val_AP"])


def test_numbers_are_those_of_the_evaluation_and_unknown_ones_nan():
    model, data = in_batches(world(2, count=6))
    expected = kv.evaluation.evaluate_detector(Fixed(model.answers), data, NAMES)["coco"]
    callback = kv.evaluation.DetectionScores(data, NAMES)
    model.weights = []
    callback.set_model(model)
    logs = {}
    callback.on_epoch_end(0, logs)
    assert logs == {"val_AP": expected["AP"], "val_AP50": expected["AP50"]}
    model, data = in_batches([{"size": (8, 8), "true": [], "found": []}])
    callback, model.weights = kv.evaluation.DetectionScores(data, NAMES), []
    callback.set_model(model)
    callback.on_epoch_end(0, logs)
    assert math.isnan(logs["val_AP"])


@pytest.mark.parametrize("frequency", [0, 1.5])
def test_frequency_is_a_whole_number(frequency):
    with pytest.raises(ValueError, match=f"`frequency` must .*Received: {frequency}"):
        kv.evaluation.DetectionScores([], frequency=frequency)
