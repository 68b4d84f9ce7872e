"""Files of segmenters: scores of every pixel, or its class."""

from kvision.export.specs import is_image

# Some pixel always lies on a border, and mean IoU is the stricter metric. A picture has millions of
# outputs, and the largest of so many rounding errors is beyond 1e-4.
LIMITS = {
    None: {"max_difference": 1e-3, "metric_drop": 0.1},
    "float16": {"metric_drop": 0.5},
    "bfloat16": {"metric_drop": 0.5},
    "dynamic": {"metric_drop": 1.5},
    "int8": {"metric_drop": 1.5},
}
FORMS = {
    "label_map": "segmenters: the output must be (batch, height, width, classes) with at least two "
    "classes"
}


def could_be(inputs, outputs):
    """Whether a model gives scores, or a class, of every pixel of an image."""
    return is_image(inputs) and is_image(outputs)


def check_model(model, form):
    """Raises `ValueError` where a label map is asked for and there are no scores to compare."""
    from kvision.export.forms.label_maps import check_scores

    if form == "label_map":
        check_scores(model)


def graph(model, form, input_shape):
    """Returns what a file computes: the model's scores, or of a label map the largest of them."""
    from kvision.export import tasks
    from kvision.export.forms import label_maps

    if form != "label_map":
        return tasks.graph(model, form, input_shape)
    scores = label_maps.before_upsampling(model)
    return scores, label_maps.label_function(scores, model.output_shape[1:3])


def metadata(model, file, form, inputs, labels):
    """Returns the metadata that MediaPipe's ImageSegmenter reads."""
    from kvision.export.forms.label_maps import activation_to_come
    from kvision.export.metadata.contents import output_order
    from kvision.export.metadata.tflite import build_metadata

    to_come = None if form == "label_map" else activation_to_come(model)
    order = output_order(file)
    return build_metadata(model.name, inputs, order, labels, segmenter=to_come), {}


def fits(received, wanted):
    """Whether a file gives scores of the same pixels, or the class of each."""
    if isinstance(received, dict) or received.shape == wanted.shape:
        return not isinstance(received, dict)
    return received.dtype.kind in "ui" and received.shape == (*wanted.shape[:-1], 1)


def tally(report):
    """Returns what counts the pixels that model and file have right."""
    from kvision.export.proof.mask_tally import MaskTally

    return MaskTally()


def limits(usual, tally, quantize, rounds):
    """Returns what a file may differ; one that gives classes as much as one of 8 bits."""
    return usual if tally.comparable else {"metric_drop": LIMITS["int8"]["metric_drop"]}
