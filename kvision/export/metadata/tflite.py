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

from kvision.export.metadata import flatbuffer_tables as tables
from kvision.export.metadata.labels import FILE_NAME, label_text, parse_labels
from kvision.files.names import check_names
from kvision.files.text import decode

_MOST_LABELS = 2**24
ENTRY = "TFLITE_METADATA"
OWN_ENTRY = "KVISION"

# Field numbers and enum values of metadata_schema.fbs, version 1.0.0.
_MODEL = {"name": 0, "description": 1, "subgraph_metadata": 3, "min_parser_version": 7}
_MODEL_FIELDS = 8
_SUBGRAPH = {"inputs": 2, "outputs": 3, "custom": 9}
_SUBGRAPH_FIELDS = 10
TENSOR = {"name": 0, "description": 1, "content": 3, "units": 4, "stats": 5, "files": 6}
_TENSOR_FIELDS = 7
_CONTENT = {"type": 0, "properties": 1}
_CONTENT_FIELDS = 3
FEATURES, _IMAGE_PROPERTIES, BOXES = 1, 2, 3
_RGB, _GRAYSCALE = 1, 2
_UNIT = {"type": 0, "options": 1}
_NORMALIZATION, THRESHOLD = 1, 3
_MEAN, _STD = 0, 1
_STATS = {"max": 0, "min": 1}
_FILE = {"name": 0, "description": 1, "type": 2}
_FILE_FIELDS = 5
AXIS_LABELS, VALUE_LABELS = 2, 3  # one name a column of the scores; one name a class number
_CUSTOM = {"name": 0, "data": 1}
# image_segmenter_metadata_schema.fbs: what an app must still do to the scores of a segmenter.
_SEGMENTER = "SEGMENTER_METADATA"
SEGMENTER_ACTIVATIONS = {"none": 0, "sigmoid": 1, "softmax": 2}


def build_metadata(
    name, inputs, outputs=("scores",), labels=None, mean=0.0, std=1.0, segmenter=None
):
    """The metadata flatbuffer of a model, such as one from an image to scores.

    Args:
        name: the model's name.
        inputs: `{name: shape without the batch}` in the order that they have in the file; those of
            three axes are images.
        outputs: names of the outputs in the order that they have in the file.
        labels: class names, or `None`; only whether there are any matters here.
        mean: what an app takes from each pixel 0..255 before a float model sees it. 0 for ours,
            which normalise the pixels themselves.
        std: what it then divides by. 1 for ours.
        segmenter: `None`; for a segmenter what an app must do to make probabilities of its scores:
            `"none"`, `"sigmoid"` or `"softmax"`.

    Returns:
        The bytes of the flatbuffer.
    """

    def written(b):
        if len(outputs) > 1:
            return [tensor(b, key, "An output of the model.") for key in outputs]
        of = "One score for each class, of every pixel." if segmenter else "What the model answers."
        line = "One score for each class." if labels and not segmenter else of
        files = [label_file(b, AXIS_LABELS)] if labels else []
        return [tensor(b, "scores", line, FEATURES, files=files)]

    custom = (_SEGMENTER, _segmenter_options(segmenter)) if segmenter else None
    version = "1.5.0" if segmenter else "1.0.0"
    return finished_metadata(name, inputs, written, custom, version, mean, std)


def finished_metadata(name, inputs, outputs, custom=None, version="1.0.0", mean=0.0, std=1.0):
    """The metadata flatbuffer of a model, whatever its outputs.

    Args:
        name: the model's name.
        inputs: see `build_metadata`.
        outputs: a function from a builder to a list of what `tensor` returned, in the order of the
            file's outputs.
        custom: `(name, bytes)` of a flatbuffer of its own inside the metadata, or `None`.
        version: the oldest version of the schema that has all that is used.
        mean: see `build_metadata`.
        std: see `build_metadata`.

    Returns:
        The bytes of the flatbuffer.
    """

    def root(b):
        given = [_input(b, key, shape, mean, std) for key, shape in inputs.items()]
        parts = {
            _SUBGRAPH["inputs"]: tables.vector(b, given),
            _SUBGRAPH["outputs"]: tables.vector(b, outputs(b)),
        }
        if custom:
            data = tables.aligned_bytes(b, custom[1])
            fields = {_CUSTOM["data"]: data, _CUSTOM["name"]: b.CreateString(custom[0])}
            parts[_SUBGRAPH["custom"]] = tables.vector(b, [tables.table(b, 2, fields)])
        subgraph = tables.table(b, _SUBGRAPH_FIELDS, parts)
        model = {
            _MODEL["name"]: b.CreateString(name),
            _MODEL["description"]: b.CreateString(f"{name}, from pixels 0..255."),
            _MODEL["subgraph_metadata"]: tables.vector(b, [subgraph]),
            _MODEL["min_parser_version"]: b.CreateString(version),
        }
        return tables.table(b, _MODEL_FIELDS, model)

    return tables.finished(root, b"M001")


def tensor(b, name, description, kind=FEATURES, properties=None, units=(), files=(), stats=None):
    """Writes what the metadata say of one input or output.

    Args:
        b: a `flatbuffers.Builder`.
        name: the name by which an app finds it.
        description: one line for a person.
        kind: what it holds, a number of the schema's union of content properties.
        properties: the table of those properties; an empty one if `None`.
        units: tables of what is to be done to it.
        files: what `label_file` returned.
        stats: a table of its range, or `None`.
    """
    properties = tables.table(b, 0) if properties is None else properties
    content = {_CONTENT["properties"]: properties}
    fields = {
        TENSOR["name"]: b.CreateString(name),
        TENSOR["description"]: b.CreateString(description),
        TENSOR["content"]: tables.table(b, _CONTENT_FIELDS, content, {_CONTENT["type"]: kind}),
    }
    for field, parts in (("units", units), ("files", files)):
        if parts:
            fields[TENSOR[field]] = tables.vector(b, parts)
    if stats is not None:
        fields[TENSOR["stats"]] = stats
    return tables.table(b, _TENSOR_FIELDS, fields)


def process_unit(b, kind, options):
    """Writes one thing that is to be done to a tensor: its kind in the schema, and its table."""
    return tables.table(b, 2, {_UNIT["options"]: options}, {_UNIT["type"]: kind})


def label_file(b, kind):
    """Writes that the names of classes stand in the zipped file, by `kind` of naming."""
    fields = {
        _FILE["name"]: b.CreateString(FILE_NAME),
        _FILE["description"]: b.CreateString("Class names, one a line."),
    }
    return tables.table(b, _FILE_FIELDS, fields, {_FILE["type"]: kind})


def _input(b, name, shape, mean, std):
    if len(shape) != 3:
        return tensor(b, name, "Numbers, as the model takes them.")
    return _image(b, name, shape[-1], mean, std)


def _image(b, name, channels, mean, std):
    values = {_MEAN: tables.floats(b, [mean]), _STD: tables.floats(b, [std])}
    unit = process_unit(b, _NORMALIZATION, tables.table(b, 2, values))
    values = {_STATS["max"]: tables.floats(b, [255.0]), _STATS["min"]: tables.floats(b, [0.0])}
    stats = tables.table(b, 2, values)
    properties = tables.table(b, 2, bytes_={0: {1: _GRAYSCALE, 3: _RGB}.get(channels, 0)})
    return tensor(b, name, "The picture.", _IMAGE_PROPERTIES, properties, [unit], stats=stats)


def _segmenter_options(activation):
    def root(b):
        version = b.CreateString("1.0.0")
        return tables.table(b, 2, {1: version}, {0: SEGMENTER_ACTIVATIONS[activation]})

    return tables.finished(root, b"V001")


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
                data = tables.aligned_bytes(builder, bytes(self.data))
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
        `None`), `own` (the dict given to `attach`, or an empty one) and `custom` (name to bytes of
        the flatbuffers inside the metadata).
    """
    entries = {}
    for i in range(model.MetadataLength()):
        entry = model.Metadata(i)
        buffer = model.Buffers(entry.Buffer())
        if not buffer.DataIsNone():
            entries[_decode(entry.Name())] = bytes(buffer.DataAsNumpy())
    found = {"labels": None, "mean": None, "std": None, "own": {}, "custom": {}}
    if OWN_ENTRY in entries:
        found["own"] = json.loads(entries[OWN_ENTRY])
    if ENTRY in entries:
        found.update(_read_subgraph(entries[ENTRY]))
        found["labels"] = _read_label_file(model_bytes, found.pop("label_file"))
    return found


def _read_subgraph(metadata):
    found = {"label_file": None, "custom": {}}
    for subgraph in tables.children(tables.root_of(metadata), _MODEL["subgraph_metadata"])[:1]:
        for image in tables.children(subgraph, _SUBGRAPH["inputs"])[:1]:
            for unit in tables.children(image, TENSOR["units"]):
                if tables.byte_of(unit, _UNIT["type"]) == _NORMALIZATION:
                    options = tables.child(unit, _UNIT["options"])
                    found["mean"] = tables.floats_of(options, _MEAN)
                    found["std"] = tables.floats_of(options, _STD)
        for output in tables.children(subgraph, _SUBGRAPH["outputs"]):
            for file in tables.children(output, TENSOR["files"]):
                of_classes = tables.byte_of(file, _FILE["type"]) in (AXIS_LABELS, VALUE_LABELS)
                if of_classes and not found["label_file"]:
                    name = tables.bytes_of(file, _FILE["name"])
                    found["label_file"] = _decode(name) if name else None
        for custom in tables.children(subgraph, _SUBGRAPH["custom"]):
            name = _decode(tables.bytes_of(custom, _CUSTOM["name"]))
            found["custom"][name] = tables.bytes_of(custom, _CUSTOM["data"])
    return found


def _read_label_file(model_bytes, name):
    if name is None:
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(model_bytes)) as archive:
            size = archive.getinfo(name).file_size
            if size > _MOST_LABELS:
                raise ValueError(
                    f"the label file {name!r} must not be longer than {_MOST_LABELS:,} bytes. "
                    f"Received: {size:,}"
                )
            text = decode(archive.read(name), name)
            return check_names(parse_labels(text), f"The class names in {name!r}")
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError(
            f"The file's metadata name the label file {name!r}, which is not in it: the file was "
            "cut short or written anew by a tool that drops what follows the model."
        ) from error


def _decode(text):
    return decode(text, None) if isinstance(text, bytes) else str(text)
