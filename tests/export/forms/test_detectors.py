"""Detectors on a phone: files of both kinds give the model's objects, and are proved to."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from squares import SHAPES, build_detector, squares

import kvision as kv
from kvision.export.forms.decoding import decode, suppress_classes
from kvision.export.forms.detectors import detector_settings, operator
from kvision.export.metadata.contents import output_order, read_flatbuffer
from kvision.export.metadata.detector import NAME, read_anchors
from kvision.export.metadata.tflite import read_metadata
from kvision.export.proof.detection_tally import DetectionTally
from kvision.export.runtime import predict_keras

KEYS = ("boxes", "classes", "scores")


@pytest.fixture(scope="module")
def held_out():
    return squares(64, seed=1)


def assert_same(found, wanted, tolerance=1e-5):
    np.testing.assert_array_equal(found["classes"], wanted["classes"])
    for key in ("boxes", "scores"):
        np.testing.assert_allclose(found[key], wanted[key], atol=tolerance)


def across_classes(detector, images):
    """What the model finds where boxes of all classes suppress each other."""
    raw = predict_keras(detector, images)["raw"]
    settings = detector_settings(detector, (64, 64, 3))
    anchors = settings["anchors"]
    centred = np.concatenate(
        [(anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2:] - anchors[:, :2]], -1
    )
    boxes = decode(raw["offsets"], centred, settings["variances"])
    options = {key: settings[key] for key in ("iou_threshold", "score_threshold", "most")}
    return [
        suppress_classes(*pair, **options, candidates=10_000, by_class=False)
        for pair in zip(boxes, raw["scores"], strict=True)
    ]


def test_raw_file_holds_what_an_app_needs(detector, detector_file):
    path = detector_file(None)
    found = kv.export.describe(path)
    assert output_order(path) in (["scores", "offsets"], ["offsets", "scores"])
    shapes = dict(zip(output_order(path), [out["shape"] for out in found.outputs], strict=True))
    assert shapes == {"scores": [1, 160, 3], "offsets": [1, 160, 4]}
    assert found.labels == SHAPES
    assert not (path.parent / "labels.txt").exists()  # it belongs to the file
    assert not found.custom_operators
    assert not found.flex_operators
    assert found.static_batch
    assert found.settings == {
        "variances": [0.1, 0.12, 0.2, 0.25],
        "iou_threshold": 0.5,
        "score_threshold": 0.05,
        "most": 20,
        "candidates": 400,
        "classes": 3,
    }
    model, data = read_flatbuffer(path)
    anchors = read_anchors(read_metadata(model, data)["custom"][NAME])
    # The first and the last anchor by hand: 12 pixels in a corner of 8x8 cells, 36x28 of 4x4.
    np.testing.assert_allclose(anchors[0], np.array([4, 4, 12, 12]) / 64)
    np.testing.assert_allclose(anchors[-1], np.array([56, 56, 36, 28]) / 64)


@pytest.mark.parametrize("kind", ["keras", "saved_model", None])
def test_every_format_finds_the_same(kind, detector, detector_file, held_out, tmp_path):
    images = held_out[0]
    if kind == "keras":
        path = tmp_path / "model.keras"
        detector.save(path)
    elif kind == "saved_model":
        path = kv.export.saved_model(detector, tmp_path / "saved_model")
    else:
        path = detector_file(None)
    wanted = detector.predict(images.astype("float32"), verbose=0)
    assert (wanted["scores"] > 0.5).sum() > 30
    found = kv.export.load(path).predict(images, batch_size=40)
    assert set(found) == set(KEYS)
    assert found["classes"].dtype == np.int32
    assert_same(found, wanted)


def test_file_with_the_operator(detector, detector_file, held_out):
    path = detector_file(None, postprocess=True)
    found = kv.export.describe(path)
    assert found.custom_operators == ["TFLite_Detection_PostProcess"]
    assert found.labels == SHAPES
    assert len(found.outputs) == 4
    images = held_out[0]
    for threads in (1, 2, 3):  # class by class, LiteRT would lose the class 2 on two threads
        got = kv.export.load(path, threads).predict(images)
        for i, wanted in enumerate(across_classes(detector, images.astype("float32"))):
            wanted["boxes"] = np.clip(wanted["boxes"], 0, 1)  # after the suppression
            assert_same({key: got[key][i] for key in KEYS}, wanted)


def test_proof_of_float_files(detector, detector_file, held_out, tmp_path):
    alone = {"max_difference": 1e-4, "metric_drop": 0.1}
    found = {"share_different": 0.01, "metric_drop": 2.0}
    served = {"share_different": 0.01, "metric_drop": 0.1}
    for path, limits in (
        (detector_file(None), alone),
        (detector_file(None, postprocess=True), found),
        (kv.export.saved_model(detector, tmp_path / "saved_model"), served),
    ):
        report = kv.export.verify(detector, path, [held_out])
        assert report.passed, report.reasons
        assert report.limits == limits
        assert report.metric_name == "COCO AP"
        assert report.samples == 64
        assert 0.35 < report.metric_model < 0.9
        assert report.share_different == 0
        assert report.top1_agreement == 1
        json.loads(json.dumps(report, allow_nan=False))
    assert path.exists()


def test_int8(detector, detector_file, held_out):
    path = detector_file("int8")
    image = kv.export.describe(path).inputs[0]
    assert (image["dtype"], image["scale"], image["zero_point"]) == ("uint8", 1.0, 0)
    report = kv.export.verify(detector, path, [held_out])
    assert report.passed, report.reasons
    assert report.limits == {"metric_drop": 2.0}
    assert report.metric_drop < 2
    assert report.top1_agreement > 0.9
    scores = kv.export.load(path).predict(held_out[0], raw=True)["raw"]["scores"]
    assert len(np.unique(scores)) > 2000  # probabilities of 8 bits would have 256 values
    assert kv.export.benchmark(path, runs=2, warmup=0).size_bytes < 100_000


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["float16", "dynamic", "int8"])
@pytest.mark.parametrize("postprocess", [False, True])
def test_other_files_are_proved_too(kind, postprocess, detector, detector_file, held_out):
    report = kv.export.verify(detector, detector_file(kind, postprocess), [held_out])
    assert report.passed, report.reasons


def test_runs_without_tensorflow(detector_file):
    code = f"""
        import sys
        import numpy as np
        import kvision as kv
        path = {str(detector_file(None))!r}
        found = kv.export.load(path).predict(np.zeros((1, 64, 64, 3)))
        assert found["boxes"].shape == (1, 20, 4)
        kv.export.benchmark(path, runs=2)
        assert not {{"tensorflow", "keras", "jax"}} & set(sys.modules)
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]


def copy_of(path, folder):
    target = folder / path.name
    target.write_bytes(path.read_bytes())
    return target


def test_file_of_other_weights_is_rejected(detector, detector_file, held_out, tmp_path):
    other = type(detector).from_config(detector.get_config())
    other.set_weights([1.1 * weight for weight in detector.get_weights()])
    for postprocess, reason in (
        (False, "largest difference of an output"),
        (True, "of the model's detections are not in the file's"),
    ):
        path = copy_of(detector_file(None, postprocess), tmp_path)
        report = kv.export.verify(other, path, [held_out])
        assert not report.passed
        assert reason in " ".join(report.reasons)
        assert not path.exists()
        json.loads(json.dumps(report, allow_nan=False))


def test_file_that_is_read_wrongly_is_rejected(detector, detector_file, held_out, tmp_path):
    # The same network, but what the file says of its box code is not the model's.
    path = copy_of(detector_file(None), tmp_path)
    path.write_bytes(path.read_bytes().replace(b"[0.1, 0.12, 0.2,", b"[0.2, 0.12, 0.2,"))
    report = kv.export.verify(detector, path, [held_out])
    assert report.max_difference < 1e-4
    assert "The COCO AP drops by" in " ".join(report.reasons)
    assert not report.passed


def test_a_model_that_finds_nothing_is_doubted(held_out, tmp_path):
    model = build_detector()
    path = kv.export.tflite(model, tmp_path / "model.tflite", "dynamic")
    report = kv.export.verify(model, path, [held_out])
    assert report.passed, report.reasons
    assert report.doubts == [
        "The model is sure of no object (score 0.3 or more): nothing was compared."
    ]
    assert str(report).splitlines()[-2:] == ["PASS", f"But: {report.doubts[0]}"]


def test_a_large_share_of_a_small_score_is_doubted(detector, detector_file, monkeypatch):
    monkeypatch.setattr(DetectionTally, "metrics", lambda tally: (0.03, 0.018))
    report = kv.export.verify(detector, detector_file("int8"), [squares(4, seed=1)])
    assert report.passed
    assert report.doubts == ["The file loses 40% of the model's COCO AP."]


def test_wrong_data(detector, detector_file, held_out, tmp_path):
    path, (images, truth) = detector_file(None), held_out
    image = keras.Input((64, 64, 3))
    classifier = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(image)))
    served = kv.export.saved_model(classifier, tmp_path / "saved_model")
    with pytest.raises(ValueError, match="dataset. must give .images, truth. .* an array"):
        kv.export.verify(detector, path, [(images, truth["classes"])])
    with pytest.raises(ValueError, match="labels are one array.* Received: a dict of"):
        kv.export.verify(classifier, served, [(images, truth)])
    empty = {**truth, "classes": np.full_like(truth["classes"], -1)}
    with pytest.raises(ValueError, match="must hold objects.*64 pictures without any"):
        kv.export.verify(detector, path, [(images, empty)])
    assert path.exists()


def test_detectors_of_two_passes_are_served_only(tmp_path):
    image = keras.Input((8, 8, 3))
    x = layers.Flatten()(image)
    outputs = {"boxes": layers.Reshape((-1, 4))(x), "classes": x, "scores": x, "raw": {"rpn": x}}
    model = keras.Model(image, outputs, name="proposing")
    with pytest.raises(ValueError, match="detectors of one pass .* `proposing` with the outputs"):
        kv.export.tflite(model, tmp_path / "model.tflite")
    path = kv.export.saved_model(model, tmp_path / "saved_model")
    assert sorted(kv.export.load(path).predict(np.zeros((2, 8, 8, 3)))) == sorted(KEYS)


def test_detector_that_does_not_say_how_it_is_read(tmp_path):
    image = keras.Input((8, 8, 3))
    x = layers.Flatten()(image)
    raw = {
        "offsets": layers.Reshape((-1, 4))(x),
        "logits": layers.Reshape((-1, 3))(x),
        "anchors": layers.Reshape((-1, 4))(x),
    }
    outputs = {"boxes": raw["offsets"], "classes": x, "scores": x, "raw": raw}
    model = keras.Model(image, outputs, name="silent")
    with pytest.raises(ValueError, match="one layer `BoxDecoder`.* `silent` with 0"):
        kv.export.tflite(model, tmp_path / "model.tflite")


def test_wrong_arguments(build_tiny, detector, tmp_path):
    path = tmp_path / "model.tflite"
    with pytest.raises(ValueError, match="`postprocess=True` is for detectors.* `tiny`"):
        kv.export.tflite(build_tiny(), path, postprocess=True)
    with pytest.raises(ValueError, match="each of the model's 3 outputs. Received: 2 names"):
        kv.export.tflite(detector, path, labels=["a", "b"])
    with pytest.raises(ValueError, match="`label_map=True` is for segmenters"):
        kv.export.tflite(detector, path, label_map=True)


@pytest.mark.slow
def test_operator_still_loses_a_class_on_several_threads():
    """Why files suppress across classes: passes until LiteRT is repaired."""
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    settings = {
        "variances": [0.1, 0.1, 0.2, 0.2],
        "iou_threshold": 0.5,
        "score_threshold": 0.05,
        "most": 10,
        "classes": 3,
    }
    name = operator(settings).replace("b: false", "b: true")
    centres = np.linspace(0.1, 0.9, 3)
    anchors = np.stack([centres, centres, np.full(3, 0.1), np.full(3, 0.1)], -1).astype("float32")

    @tf.function(experimental_implements=name)
    def postprocess(offsets, scores, anchors):
        total = tf.reduce_sum(offsets) + tf.reduce_sum(scores) + tf.reduce_sum(anchors)
        return tf.zeros((1, 10, 4)) + total, tf.zeros((1, 10)), tf.zeros((1, 10)), tf.zeros((1,))

    @tf.function(input_signature=[tf.TensorSpec((1, 3, 3))])
    def serve(scores):
        boxes, classes, scores, number = postprocess(tf.zeros((1, 3, 4)), scores, anchors)
        return {"boxes": boxes, "classes": classes, "scores": scores, "number": number}

    module = tf.Module()
    module.serve = serve
    concrete = [serve.get_concrete_function()]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(concrete, module)
    converter.allow_custom_ops = True
    data = converter.convert()
    counts = []
    for threads in (1, 2):
        runner = Interpreter(model_content=data, num_threads=threads).get_signature_runner()
        counts.append(int(runner(scores=np.eye(3, dtype="float32")[None])["number"][0]))
    assert counts == [3, 2]
