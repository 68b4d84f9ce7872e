"""TFLite metadata: what a phone must know of a file besides its graph.

MediaPipe Tasks, Android Studio and Play services read the flatbuffer of
`metadata_schema.fbs` (identifier "M001") from the model's metadata entry "TFLITE_METADATA", and the
label file from a zip archive appended to the model. The schema has no Python package of its own
that can be depended upon, so its few tables are written here field by field, with the schema's
field numbers. A second entry, "KVISION", is plain JSON: how the file was made.
"""

import io
import json
import zipfile

import flatbuffers
from flatbuffers import number_types
from flatbuffers.table import Table

from kvision.export.labels import FILE_NAME, label_text, parse_labels

ENTRY = "TFLITE_METADATA"
OWN_ENTRY = "KVISION"
ALIGNMENT = 16  # schema.fbs: `data:[ubyte] (force_align: 16)`

# Field numbers and enum values of metadata_schema.fbs, version 1.0.0.
_MODEL = {"name": 0, "description": 1, "subgraph_metadata": 3, "min_parser_version": 7}
_MODEL_FIELDS = 8
_SUBGRAPH = {"inputs": 2, "outputs": 3, "custom": 9}
_SUBGRAPH_FIELDS = 10
_TENSOR = {"name": 0, "description": 1, "content": 3, "units": 4, "stats": 5, "files": 6}
_TENSOR_FIELDS = 7
_CONTENT = {"type": 0, "properties": 1}
_CONTENT_FIELDS = 3
_FEATURE_PROPERTIES, _IMAGE_PROPERTIES = 1, 2
_RGB, _GRAYSCALE = 1, 2
_UNIT = {"type": 0, "options": 1}
_NORMALIZATION_OPTIONS = 1
_MEAN, _STD = 0, 1
_STATS = {"max": 0, "min": 1}
_FILE = {"name": 0, "description": 1, "type": 2}
_FILE_FIELDS = 5
_TENSOR_AXIS_LABELS = 2
_CUSTOM = {"name": 0, "data": 1}
# image_segmenter_metadata_schema.fbs: what an app must still do to the scores of a segmenter.
_SEGMENTER = "SEGMENTER_METADATA"
SEGMENTER_ACTIVATIONS = {"none": 0, "sigmoid": 1, "softmax": 2}


def build_metadata(name, description, channels, labels=None, mean=0.0, std=1.0, segmenter=None):
    """The metadata flatbuffer of a model from an image to scores, of the image or of its pixels.

    Args:
        name: the model's name.
        description: one line for a person.
        channels: channels of the input image; 3 is written as RGB, 1 as greyscale.
        labels: class names, or `None`; only whether there are any matters here.
        mean: what an app takes from each pixel 0..255 before a float model sees it. 0 for ours,
            which normalise the pixels themselves.
        std: what it then divides by. 1 for ours.
        segmenter: `None` for a classifier; for a segmenter what an app must do to make
            probabilities of its scores: `"none"`, `"sigmoid"` or `"softmax"`.

    Returns:
        The bytes of the flatbuffer.
    """
    b = flatbuffers.Builder(1024)
    properties = _table(b, 2, bytes_={0: {1: _GRAYSCALE, 3: _RGB}.get(channels, 0)})
    image = _table(
        b,
        _TENSOR_FIELDS,
        {
            _TENSOR["name"]: b.CreateString("image"),
            _TENSOR["description"]: b.CreateString("The picture."),
            _TENSOR["content"]: _content(b, _IMAGE_PROPERTIES, properties),
            _TENSOR["units"]: _vector(b, [_normalization(b, mean, std)]),
            _TENSOR["stats"]: _table(
                b, 2, {_STATS["max"]: _floats(b, [255.0]), _STATS["min"]: _floats(b, [0.0])}
            ),
        },
    )
    scores = {
        _TENSOR["name"]: b.CreateString("scores"),
        _TENSOR["description"]: b.CreateString(
            "One score for each class, of every pixel."
            if segmenter
            else "One score for each class."
        ),
        _TENSOR["content"]: _content(b, _FEATURE_PROPERTIES, _table(b, 0)),
    }
    if labels:
        scores[_TENSOR["files"]] = _vector(b, [_label_file(b)])
    parts = {
        _SUBGRAPH["inputs"]: _vector(b, [image]),
        _SUBGRAPH["outputs"]: _vector(b, [_table(b, _TENSOR_FIELDS, scores)]),
    }
    if segmenter:
        parts[_SUBGRAPH["custom"]] = _vector(b, [_segmenter_options(b, segmenter)])
    subgraph = _table(b, _SUBGRAPH_FIELDS, parts)
    model = {
        _MODEL["name"]: b.CreateString(name),
        _MODEL["description"]: b.CreateString(description),
        _MODEL["subgraph_metadata"]: _vector(b, [subgraph]),
        _MODEL["min_parser_version"]: b.CreateString("1.5.0" if segmenter else "1.0.0"),
    }
    b.Finish(_table(b, _MODEL_FIELDS, model), b"M001")
    return bytes(b.Output())


def _segmenter_options(b, activation):
    """A flatbuffer of its own inside the metadata, as MediaPipe's ImageSegmenter reads it."""
    inner = flatbuffers.Builder(64)
    version = inner.CreateString("1.0.0")
    options = _table(inner, 2, {1: version}, {0: SEGMENTER_ACTIVATIONS[activation]})
    inner.Finish(options, b"V001")
    payload = bytes(inner.Output())
    b.StartVector(1, len(payload), ALIGNMENT)
    b.head -= len(payload)
    b.Bytes[b.head : b.head + len(payload)] = payload
    fields = {_CUSTOM["data"]: b.EndVector(), _CUSTOM["name"]: b.CreateString(_SEGMENTER)}
    return _table(b, 2, fields)


def _normalization(b, mean, std):
    options = _table(b, 2, {_MEAN: _floats(b, [mean]), _STD: _floats(b, [std])})
    return _table(b, 2, {_UNIT["options"]: options}, {_UNIT["type"]: _NORMALIZATION_OPTIONS})


def _content(b, kind, properties):
    return _table(
        b, _CONTENT_FIELDS, {_CONTENT["properties"]: properties}, {_CONTENT["type"]: kind}
    )


def _label_file(b):
    fields = {
        _FILE["name"]: b.CreateString(FILE_NAME),
        _FILE["description"]: b.CreateString("Class names, one a line."),
    }
    return _table(b, _FILE_FIELDS, fields, {_FILE["type"]: _TENSOR_AXIS_LABELS})


def _table(b, size, offsets=None, bytes_=None):
    # Every offset was made before: a flatbuffer cannot nest tables while one is open.
    b.StartObject(size)
    for slot, offset in (offsets or {}).items():
        b.PrependUOffsetTRelativeSlot(slot, offset, 0)
    for slot, value in (bytes_ or {}).items():
        b.PrependUint8Slot(slot, value, 0)
    return b.EndObject()


def _vector(b, offsets):
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return b.EndVector()


def _floats(b, values):
    b.StartVector(4, len(values), 4)
    for value in reversed(values):
        b.PrependFloat32(value)
    return b.EndVector()


def attach(model_bytes, metadata, own, labels=None):
    """A TFLite file with its metadata and its label file.

    Args:
        model_bytes: a TFLite flatbuffer.
        metadata: what `build_metadata` returns.
        own: a dict of JSON values, kept as the entry "KVISION".
        labels: class names for the zipped label file, or `None`.

    Returns:
        The bytes of the new file. Weights stay aligned to 16 bytes.
    """
    from ai_edge_litert import schema_py_generated as schema

    class AlignedBuffer(schema.BufferT):
        # The generated code packs buffers without the schema's `force_align: 16`, which kernels on
        # some phones rely on.
        def Pack(self, builder):
            data = None
            if self.data is not None:
                payload = bytes(self.data)
                builder.StartVector(1, len(payload), ALIGNMENT)
                builder.head -= len(payload)
                builder.Bytes[builder.head : builder.head + len(payload)] = payload
                data = builder.EndVector()
            schema.BufferStart(builder)
            if data is not None:
                schema.BufferAddData(builder, data)
            return schema.BufferEnd(builder)

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model_bytes, 0))
    if any(buffer.offset > 1 for buffer in model.buffers):
        raise ValueError(
            "Metadata can be written into files of less than 2 GB, whose weights lie within the "
            f"flatbuffer. Received: a file of {len(model_bytes):,} bytes with weights outside it."
        )
    entries = {ENTRY: metadata, OWN_ENTRY: json.dumps(own, sort_keys=True).encode()}
    kept = [entry for entry in model.metadata or [] if _decode(entry.name) not in entries]
    for name, payload in entries.items():
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, len(model.buffers)
        model.buffers.append(schema.BufferT(data=payload))
        kept.append(entry)
    model.metadata = kept
    model.buffers = [AlignedBuffer(data=buffer.data) for buffer in model.buffers]
    builder = flatbuffers.Builder(len(model_bytes) + 4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return _with_label_file(bytes(builder.Output()), labels)


def _with_label_file(model_bytes, labels):
    if not labels:
        return model_bytes
    file = io.BytesIO(model_bytes)
    with zipfile.ZipFile(file, "a") as archive:
        # ZipInfo's fixed date: the same model and labels give the same bytes.
        archive.writestr(zipfile.ZipInfo(FILE_NAME), label_text(labels))
    return file.getvalue()


def read_metadata(model, model_bytes):
    """What the metadata of a TFLite file says.

    Args:
        model: the flatbuffer's root, `schema_py_generated.Model`.
        model_bytes: the file.

    Returns:
        A dict with `labels` (list of names or `None`), `mean` and `std` (lists of floats or
        `None`) and `own` (the dict given to `attach`, or an empty one).
    """
    entries = {}
    for i in range(model.MetadataLength()):
        entry = model.Metadata(i)
        buffer = model.Buffers(entry.Buffer())
        if not buffer.DataIsNone():
            entries[_decode(entry.Name())] = bytes(buffer.DataAsNumpy())
    found = {"labels": None, "mean": None, "std": None, "own": {}}
    if OWN_ENTRY in entries:
        found["own"] = json.loads(entries[OWN_ENTRY])
    if ENTRY in entries:
        found.update(_read_subgraph(entries[ENTRY]))
        found["labels"] = _read_label_file(model_bytes, found.pop("label_file"))
    return found


def _read_subgraph(metadata):
    found = {"label_file": None}
    root = Table(metadata, number_types.UOffsetTFlags.py_type(_uint32(metadata, 0)))
    for subgraph in _children(root, _MODEL["subgraph_metadata"])[:1]:
        for image in _children(subgraph, _SUBGRAPH["inputs"])[:1]:
            for unit in _children(image, _TENSOR["units"]):
                if _byte(unit, _UNIT["type"]) == _NORMALIZATION_OPTIONS:
                    options = _child(unit, _UNIT["options"])
                    found["mean"] = _read_floats(options, _MEAN)
                    found["std"] = _read_floats(options, _STD)
        for scores in _children(subgraph, _SUBGRAPH["outputs"])[:1]:
            for file in _children(scores, _TENSOR["files"]):
                if _byte(file, _FILE["type"]) == _TENSOR_AXIS_LABELS and not found["label_file"]:
                    name = file.Offset(4 + 2 * _FILE["name"])
                    found["label_file"] = _decode(file.String(name + file.Pos)) if name else None
    return found


def _read_label_file(model_bytes, name):
    if name is None:
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(model_bytes)) as archive:
            return parse_labels(archive.read(name).decode("utf-8"))
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError(
            f"The file's metadata name the label file {name!r}, which is not in it: the file was "
            "cut short or written anew by a tool that drops what follows the model."
        ) from error


def _uint32(data, position):
    return int.from_bytes(data[position : position + 4], "little")


def _byte(table, field):
    offset = table.Offset(4 + 2 * field)
    return table.Get(number_types.Uint8Flags, offset + table.Pos) if offset else 0


def _child(table, field):
    offset = table.Offset(4 + 2 * field)
    return Table(table.Bytes, table.Indirect(offset + table.Pos))


def _children(table, field):
    offset = table.Offset(4 + 2 * field)
    if not offset:
        return []
    start, length = table.Vector(offset), table.VectorLen(offset)
    return [Table(table.Bytes, table.Indirect(start + 4 * i)) for i in range(length)]


def _read_floats(table, field):
    offset = table.Offset(4 + 2 * field)
    if not offset:
        return None
    start, length = table.Vector(offset), table.VectorLen(offset)
    return [float(table.Get(number_types.Float32Flags, start + 4 * i)) for i in range(length)]


def _decode(text):
    return text.decode("utf-8") if isinstance(text, bytes) else str(text)
