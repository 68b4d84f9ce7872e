"""Detectors on their way out: which models are some, and what their phone files answer with."""

import keras
import numpy as np

from kvision.layers import BoxDecoder, Detections

OUTPUTS = ("boxes", "classes", "scores", "masks")
RAW = {"offsets", "logits", "anchors"}  # what a detector of one pass gives as `raw`
POSTPROCESS = "TFLite_Detection_PostProcess"


def is_detector(model):
    """Whether a model gives boxes, by the names of its outputs."""
    outputs = getattr(model, "output", None)
    return isinstance(outputs, dict) and set(OUTPUTS[:3]) <= set(outputs)


def is_single_shot(model):
    """Whether a detector is one of a fixed set of anchors, which scores and moves each once."""
    raw = model.output.get("raw", {}) if is_detector(model) else {}
    return set(raw) >= RAW


def class_count(model):
    """How many classes a single-shot detector knows, `None` of another."""
    return model.output["raw"]["logits"].shape[-1] - 1 if is_single_shot(model) else None


def detections(outputs):
    """The detections among a detector's outputs, without `raw`."""
    return {key: outputs[key] for key in OUTPUTS if key in outputs}


def probabilities(logits):
    """Scores of the classes, of logits whose column 0 is the background; NumPy."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return (powers / powers.sum(-1, keepdims=True))[..., 1:]


def check_single_shot(model):
    """Raises `ValueError` unless a model is a detector whose decoding a phone can do."""
    if not is_single_shot(model):
        raise ValueError(
            "A TFLite file can be written of detectors of one pass (SSDLite, SSD300), which give "
            f"`raw` with 'offsets', 'logits' and 'anchors'. Received: `{model.name}` with the "
            f"outputs {sorted(model.output)}. Serve it as a SavedModel: kv.export.saved_model."
        )


def detector_settings(model, input_shape):
    """How to get from a single-shot detector's own outputs to objects.

    Args:
        model: a single-shot detector, with a layer `BoxDecoder` and a layer `Detections`.
        input_shape: (height, width, channels) of the pictures.

    Returns:
        A dict of plain values: `variances`, `iou_threshold`, `score_threshold`, `most`,
        `candidates` and `classes`; and `anchors`, a float32 array (n, 4) as `rel_yxyx`.
    """
    found = {}
    for kind in (BoxDecoder, Detections):
        layers = [layer for layer in model.layers if isinstance(layer, kind)]
        if len(layers) != 1:
            raise ValueError(
                f"A detector for phones must have one layer `{kind.__name__}`, which says how its "
                f"outputs are read. Received: `{model.name}` with {len(layers)}."
            )
        found[kind] = layers[0].get_config()
    image = keras.ops.zeros((1, *input_shape))
    anchors = keras.ops.convert_to_numpy(
        keras.Model(model.inputs, model.output["raw"]["anchors"])(image, training=False)
    )
    keys = ("iou_threshold", "score_threshold", "most", "candidates")
    return {
        "variances": [float(value) for value in found[BoxDecoder]["variances"]],
        **{key: found[Detections][key] for key in keys},
        "classes": class_count(model),
        "anchors": anchors.astype("float32"),
    }


def detections_function(model):
    """A function from pictures to a detector's detections, without `raw`."""
    return lambda images: detections(model(images, training=False))


def raw_function(model):
    """A TensorFlow function from pictures to `scores` of the classes and `offsets` of anchors."""
    import tensorflow as tf

    network = raw_network(model)

    def serve(images):
        raw = network(images, training=False)
        return {"scores": tf.nn.softmax(raw["logits"])[..., 1:], "offsets": raw["offsets"]}

    return serve


def raw_network(model):
    """The part of a single-shot detector that computes logits and offsets."""
    raw = model.output["raw"]
    return keras.Model(model.inputs, {key: raw[key] for key in ("logits", "offsets")})


def postprocess_function(model, settings):
    """A TensorFlow function from a picture to what TFLite's detection operator gives.

    Args:
        model: a single-shot detector.
        settings: what `detector_settings` returned.
    """
    import tensorflow as tf

    raw = raw_function(model)
    top, left, bottom, right = settings["anchors"].T
    centred = np.stack([(top + bottom) / 2, (left + right) / 2, bottom - top, right - left], -1)
    most = settings["most"]

    # The converter replaces this function, whatever is in it, by the operator of that name.
    @tf.function(experimental_implements=operator(settings))
    def postprocess(offsets, scores, anchors):
        return (
            tf.zeros((1, most, 4)) + tf.reduce_sum(offsets),
            tf.zeros((1, most)) + tf.reduce_sum(anchors),
            tf.zeros((1, most)) + tf.reduce_sum(scores),
            tf.zeros((1,)),
        )

    def serve(images):
        found = raw(images)
        anchors = tf.constant(centred, tf.float32)
        boxes, classes, scores, number = postprocess(found["offsets"], found["scores"], anchors)
        return {"boxes": boxes, "classes": classes, "scores": scores, "number": number}

    return serve


def operator(settings):
    """The name and the attributes of the operator, as the converter reads them."""
    y, x, height, width = settings["variances"]
    attributes = {
        "max_detections": ("i", settings["most"]),
        "max_classes_per_detection": ("i", 1),
        # Class by class, as the model does it, LiteRT 2.3 loses a class when it has several threads
        # (the class whose number is that of the threads). So boxes of all classes suppress each
        # other, as those of raw outputs do in MediaPipe.
        "use_regular_nms": ("b", "false"),
        "nms_score_threshold": ("f", settings["score_threshold"]),
        "nms_iou_threshold": ("f", settings["iou_threshold"]),
        "num_classes": ("i", settings["classes"]),
        "y_scale": ("f", 1 / y),
        "x_scale": ("f", 1 / x),
        "h_scale": ("f", 1 / height),
        "w_scale": ("f", 1 / width),
    }
    parts = [f'attr {{ key: "{k}" value {{ {t}: {v} }} }}' for k, (t, v) in attributes.items()]
    return " ".join([f'name: "{POSTPROCESS}"', *parts])
