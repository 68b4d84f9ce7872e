"""Files of detectors: what a network of one pass computes for its anchors, or the objects."""

from kvision.export.forms.decoding import decoder, unpadded
from kvision.export.metadata.contents import read_flatbuffer
from kvision.export.metadata.tflite import read_metadata

# What float rounding moves across a threshold is one detection among many. Files that do not show
# what the network computes may differ in one of a hundred detections.
LIMITS = {
    None: {"max_difference": 1e-4, "metric_drop": 0.1},
    "float16": {"metric_drop": 0.5},
    "bfloat16": {"metric_drop": 0.5},
    "dynamic": {"metric_drop": 2.0},
    "int8": {"metric_drop": 2.0},
}
SAME_DETECTIONS = {"share_different": 0.01}
ACROSS_CLASSES = 2.0  # points lost where a file suppresses boxes across classes
POSTPROCESS = "TFLite_Detection_PostProcess"
FORMS = {"postprocess": "detectors, which give boxes"}
OPERATORS = (POSTPROCESS,)
# In 8 bits probabilities have 256 steps of the same width: thousands of anchors then have equal
# scores, and which of them is best is chance. What it takes is one operator in floats, and the one
# that cuts its column of the background off.
FLOAT_OPERATORS = ("SOFTMAX", "STRIDED_SLICE")
UNLIKE = "of the model's detections are not in the file's"
OUTPUTS = ("boxes", "classes", "scores")


def could_be(inputs, outputs):
    """Whether a model gives boxes with classes and scores."""
    return isinstance(outputs, dict) and set(OUTPUTS) <= set(outputs)


def check_model(model, form):
    """Raises `ValueError` unless a model is a detector whose decoding a phone can do."""
    from kvision.export.forms.detectors import check_single_shot

    check_single_shot(model)


def graph(model, form, input_shape):
    """Returns what a file computes: of a SavedModel objects, else scores and offsets of anchors."""
    from kvision.export.forms import detectors

    if form == "saved_model":
        return model, detectors.detections_function(model)
    if form == "postprocess":
        settings = detectors.detector_settings(model, input_shape)
        return model, detectors.postprocess_function(model, settings)
    return model, detectors.raw_function(model)


def class_count(model):
    """Returns how many classes a detector of one pass knows, `None` of another."""
    from kvision.export.forms import detectors

    return detectors.class_count(model)


def metadata(model, file, form, inputs, labels):
    """Returns the metadata that MediaPipe's ObjectDetector reads, and how boxes are decoded."""
    from kvision.export.forms.detectors import detector_settings
    from kvision.export.metadata.contents import output_order
    from kvision.export.metadata.detector import build_detector_metadata

    (shape,) = inputs.values()
    settings = detector_settings(model, shape)
    order = output_order(file)
    built = build_detector_metadata(model.name, inputs, order, settings, labels)
    # The anchors are in MediaPipe's metadata.
    return built, {key: settings[key] for key in settings if key != "anchors"}


def answers(outputs):
    """Returns detections, and of a detector of one pass what its network computed as `raw`."""
    from kvision.export.forms import detectors

    found = detectors.detections(outputs)
    raw = outputs.get("raw", {})
    if set(raw) >= detectors.RAW:
        scores = detectors.probabilities(raw["logits"])
        found["raw"] = {"scores": scores, "offsets": raw["offsets"]}
    return found


def finish(report):
    """Returns a function from the outputs of a TFLite file to detections, padded with class -1."""
    if len(report.outputs) == 4:
        return unpadded
    model, data = read_flatbuffer(report.path)
    return decoder(report.settings, read_metadata(model, data)["custom"])


def check(wanted, truth):
    """Raises `ValueError` unless the truth of a batch is of boxes and classes."""
    if not isinstance(truth, dict) or not {"boxes", "classes"} <= set(truth):
        what = f"a dict of {sorted(truth)}" if isinstance(truth, dict) else "an array"
        raise ValueError(
            "`dataset` must give (images, truth) to a detector, where truth is a dict with 'boxes' "
            f"and 'classes'. Received: {what}"
        )


def fits(received, wanted):
    """Whether a file gives as many boxes for as many pictures."""
    same = isinstance(received, dict) and set(received) - {"raw"} == set(wanted) - {"raw"}
    return same and received["boxes"].shape[::2] == wanted["boxes"].shape[::2]


def tally(report):
    """Returns what compares the detections of model and file."""
    from kvision.export.proof.detection_tally import DetectionTally

    across = POSTPROCESS in report.get("operators", {})
    return DetectionTally(report.settings["iou_threshold"] if across else None)


def limits(usual, tally, quantize, rounds):
    """Returns what a file may differ; one that shows nothing but detections in how many of them."""
    if tally.comparable or quantize is not None:
        return usual
    drop = ACROSS_CLASSES if tally.across else usual["metric_drop"]
    return {**({} if rounds else SAME_DETECTIONS), "metric_drop": drop}
