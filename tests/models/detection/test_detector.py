"""Classes that a detector does not know are named in an error, and never learned."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import without_weights
from squares import build_detector

import kvision as kv


@pytest.fixture(scope="module")
def detector():
    """It knows the classes 0, 1 and 2."""
    model = build_detector()
    model.compile("sgd")
    return model


def pictures(size=64):
    return np.random.default_rng(0).uniform(0, 255, (4, size, size, 3)).astype("float32")


def truth_of(classes):
    boxes = np.tile(np.array([0.1, 0.1, 0.6, 0.6], "float32"), (4, len(classes), 1))
    return {"boxes": boxes, "classes": np.tile(np.array(classes, "int32"), (4, 1))}


@pytest.mark.parametrize("unknown", [2, 7, -2])
@pytest.mark.parametrize(
    ("network", "name"), [(kv.models.SSDLite, "ssdlite"), (kv.models.FasterRCNN, "faster_rcnn")]
)
def test_an_unknown_class_of_arrays_is_named_before_anything_is_learned(network, name, unknown):
    options = (
        {} if name == "ssdlite" else {"feature_pyramid": True, "anchor_sizes": (4, 8, 12, 16, 24)}
    )
    model = without_weights(
        lambda: network(alpha=0.35, classes=2, input_shape=(32, 32, 3), **options)
    )
    model.compile("sgd")
    said = (
        rf"classes from 0 to 1 in `{name}`.*or -1 where they are padding. Received: class {unknown}"
    )
    for run in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=said):
            run(pictures(32), truth_of([0, unknown, -1]), batch_size=2, verbose=0)


class Batches(keras.utils.PyDataset):
    def __init__(self, truths):
        super().__init__()
        self.truths = truths

    def __len__(self):
        return len(self.truths)

    def __getitem__(self, index):
        return pictures(), self.truths[index]


def test_an_unknown_class_of_a_data_set_is_named(detector):
    batches = Batches([truth_of([0, 1]), truth_of([1, 3])])
    for run in (detector.evaluate, detector.fit):
        with pytest.raises(ValueError, match="Received: class 3"):
            run(batches, verbose=0)


def test_an_unknown_class_is_named_after_the_first_epoch_and_before_anything_is_kept(detector):
    kept = []
    keeping = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: kept.append(epoch))
    with pytest.raises(ValueError, match="Received: class 3"):
        detector.fit(Batches([truth_of([3])]), epochs=3, verbose=0, callbacks=[keeping])
    assert kept == []
    detector.fit(pictures(), truth_of([0]), epochs=2, verbose=0, callbacks=keeping)
    assert kept == [0, 1]


def test_callbacks_in_a_list_of_keras(detector):
    callbacks = keras.callbacks.CallbackList(add_history=True, model=detector)
    with pytest.raises(ValueError, match="Received: class 3"):
        detector.fit(Batches([truth_of([3])]), verbose=0, callbacks=callbacks)


def test_the_truth_to_watch_is_looked_at_too(detector):
    known, unknown = ((pictures(), truth_of([0, last])) for last in (2, 5))
    with pytest.raises(ValueError, match="Received: class 5"):
        detector.fit(*known, validation_data=unknown, verbose=0)


def test_a_loss_that_is_nan_for_another_reason_is_no_error(detector):
    assert np.isnan(detector.evaluate(pictures() * np.nan, truth_of([0, 1]), verbose=0)).any()
    endless = tf.data.Dataset.from_tensors((pictures() * np.nan, truth_of([0, 1]))).repeat()
    assert np.isnan(detector.evaluate(endless, steps=1, verbose=0)).any()


def test_an_unknown_class_makes_the_loss_of_its_picture_nan(detector):
    outputs = detector(pictures())
    assert np.isfinite(float(detector.compute_loss(y=truth_of([0, 2, -1]), y_pred=outputs)))
    truth = truth_of([0, 1])
    truth["classes"][2, 1] = 3
    assert np.isnan(float(detector.compute_loss(y=truth, y_pred=outputs)))


@pytest.mark.parametrize("name", ["SSDLite", "FastRCNN", "FasterRCNN", "MaskRCNN", "MaskXRCNN"])
def test_a_clone_without_losses_is_refused(name):
    entry = kv.model_info(name)
    model = without_weights(lambda: entry.builder(**entry.tiny))
    with pytest.raises(
        ValueError, match=r"call `type\(model\).from_config\(model.get_config\(\)\)"
    ):
        keras.models.clone_model(model)


def test_a_copy_keeps_losses(detector):
    model = type(detector)(detector.network, focal_gamma=2.0, name="other")
    copy = type(model).from_config(model.get_config())
    assert (copy.name, copy.focal_gamma, copy.loss_names) == ("other", 2.0, model.loss_names)
    copy.compile("sgd")
    copy.set_weights(detector.get_weights())
    truth = truth_of([0])
    loss = copy.evaluate(pictures(), truth, verbose=0, return_dict=True)
    assert {"loss", "class_loss", "box_loss"} <= set(loss)
    assert loss["class_loss"] > 0
