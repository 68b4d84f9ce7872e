"""What a phone must know of a detector's file: which output is which, and how boxes are decoded.

MediaPipe Tasks' ObjectDetector takes two kinds of files. One has four outputs of the operator
`TFLite_Detection_PostProcess`, and only their names matter. The other has the network's own two
outputs; then the metadata carry a flatbuffer of `object_detector_metadata_schema.fbs` (identifier
"V001") with the anchors and the scales of the box code, and MediaPipe decodes and suppresses.
"""

import numpy as np

from kvision.export.metadata import flatbuffer_tables as tables
from kvision.export.metadata.tflite import (
    AXIS_LABELS,
    BOXES,
    THRESHOLD,
    VALUE_LABELS,
    finished_metadata,
    label_file,
    process_unit,
    tensor,
)

NAME = "DETECTOR_METADATA"
# Outputs of our files, and the names by which MediaPipe finds them.
RAW = {"offsets": "location", "scores": "score"}
FINAL = {
    "boxes": "location",
    "classes": "category",
    "scores": "score",
    "number": "number of detections",
}
_LINES = {
    "offsets": "Offsets of the boxes from their anchors: y, x, height, width.",
    "boxes": "Boxes: top, left, bottom, right, 0..1.",
    "classes": "The class of each box.",
    "scores": "Scores, 0..1.",
    "number": "How many boxes there are.",
}

# Field numbers of the two schemas.
_BOX = {"index": 0, "type": 1, "coordinates": 2}
_BOUNDARIES = 1
_ORDER = (1, 0, 3, 2)  # where left, top, right and bottom stand in a box
_OPTIONS = {"version": 0, "anchors": 1, "decoding": 2}
_ANCHOR = {"x": 0, "y": 1, "width": 2, "height": 3}
_DECODING = {"classes": 0, "boxes": 1, "numbers": 2, "keypoint": 3, "keypoints": 4, "values": 5}
_SCALES = {"x": 6, "y": 7, "width": 8, "height": 9}
_EXPONENTIAL, _SIGMOID = 10, 11
_DECODING_FIELDS = 12


def build_detector_metadata(name, inputs, order, settings, labels=None):
    """The metadata flatbuffer of a detector.

    Args:
        name: the model's name.
        inputs: the image, `{name: (height, width, channels)}`.
        order: names of the file's outputs in the order that they have in the file: `"scores"` and
            `"offsets"`, or `"boxes"`, `"classes"`, `"scores"` and `"number"`.
        settings: a dict with `anchors` (n, 4) as `rel_yxyx`, `variances`, `classes` and
            `score_threshold`.
        labels: class names, or `None`; only whether there are any matters here.

    Returns:
        The bytes of the flatbuffer.
    """
    final = len(order) == len(FINAL)
    labelled = ("classes", VALUE_LABELS) if final else ("scores", AXIS_LABELS)

    def output(b, key):
        files = [label_file(b, labelled[1])] if labels and key == labelled[0] else []
        units = []
        if key == "scores":
            threshold = tables.table(b, 1, floats={0: settings["score_threshold"]})
            units = [process_unit(b, THRESHOLD, threshold)]
        shared = {"files": files, "units": units}
        if key in ("boxes", "offsets"):
            index = tables.integers(b, _ORDER)
            properties = tables.table(b, 3, {_BOX["index"]: index}, {_BOX["type"]: _BOUNDARIES})
            shared |= {"kind": BOXES, "properties": properties}
        return tensor(b, (FINAL if final else RAW)[key], _LINES[key], **shared)

    return finished_metadata(
        name,
        inputs,
        lambda b: [output(b, key) for key in order],
        None if final else (NAME, _decoding_options(settings)),
    )


def read_anchors(options):
    """The anchors in a detector's metadata.

    Args:
        options: the bytes of the flatbuffer `DETECTOR_METADATA`.

    Returns:
        A float32 array (n, 4): y and x of the centre, height, width.
    """
    schema = tables.child(tables.root_of(options), _OPTIONS["anchors"])
    anchors = tables.children(tables.child(schema, 0), 0)
    fields = [_ANCHOR[key] for key in ("y", "x", "height", "width")]
    rows = [[tables.float_of(anchor, field) for field in fields] for anchor in anchors]
    return np.array(rows, "float32").reshape(-1, 4)


def _decoding_options(settings):
    top, left, bottom, right = np.asarray(settings["anchors"], "float64").T
    centred = np.stack([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], -1)
    y, x, height, width = settings["variances"]
    scales = {"x": 1 / x, "y": 1 / y, "width": 1 / width, "height": 1 / height}
    counts = {
        _DECODING["classes"]: settings["classes"],
        _DECODING["boxes"]: len(centred),
        _DECODING["numbers"]: 4,
        _DECODING["values"]: 2,  # of a keypoint; there are none, but MediaPipe insists
    }

    def root(b):
        anchors = [tables.table(b, 4, floats=dict(enumerate(map(float, row)))) for row in centred]
        fixed = tables.table(b, 1, {0: tables.vector(b, anchors)})
        decoding = tables.table(
            b,
            _DECODING_FIELDS,
            bytes_={_EXPONENTIAL: 1, _SIGMOID: 0},
            floats={_SCALES[key]: scale for key, scale in scales.items()},
            integers=counts,
        )
        parts = {
            _OPTIONS["anchors"]: tables.table(b, 1, {0: fixed}),
            _OPTIONS["decoding"]: decoding,
            _OPTIONS["version"]: b.CreateString("1.0.0"),
        }
        return tables.table(b, 3, parts)

    return tables.finished(root, b"V001")
