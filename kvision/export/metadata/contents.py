"""What is inside an exported file, read without running it."""

from collections import Counter
from pathlib import Path

from kvision.export.metadata.labels import labels_of_run
from kvision.export.metadata.tflite import read_metadata
from kvision.export.proof.report import Report
from kvision.files.reading import reading
from kvision.files.text import check_path

ADVICE = "Export the model again, or copy the file again."
_RANDOM = ("random", "multinomial", "rngreadandskip", "rng_bit_generator", "bernoulli")


def describe(path):
    """What an exported file is and holds, read from the file without running it.

    Use it to see a file's inputs, outputs, operators, labels and normalisation.

    Args:
        path: a `.tflite` file, a SavedModel folder, a `.keras` file or a run folder.

    Returns:
        A `Report` with `path`, `kind` (`"tflite"`, `"saved_model"` or `"keras"`), `size_bytes` and
        `labels` (list of names or `None`). For a `.tflite` file also `quantize` (`None`,
        `"float16"`, `"dynamic"` or `"int8"`), `inputs` and `outputs` (lists of dicts with `name`,
        `shape`, `dtype`, `scale`, `zero_point`), `static_batch`, `operators` (name to count),
        `flex_operators`, `custom_operators`, `random_operators`, `mean`, `std`, `task` (its name,
        or `None`), `settings` (how its outputs are read, where its task needs that) and `made_by`.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        ValueError: it is nothing that kvision writes, or a damaged file.

    Example:

    ```python
    print(kv.export.describe("saved_models/quickstart/model_int8.tflite"))
    ```
    """
    path = resolve(path)
    kind = kind_of(path)
    if kind == "tflite":
        return _describe_tflite(path)
    labels = labels_of_run(path)
    return Report(path=str(path), kind=kind, size_bytes=size_of(path), labels=labels)


def resolve(path):
    """The model's own path: the best file of a run folder, any other path as it is."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no model at {path}.")
    if path.is_dir() and not (path / "saved_model.pb").is_file():
        for name in ("model.keras", "saved_model", "model.tflite", "model_int8.tflite"):
            if (path / name).exists():
                return path / name
        raise ValueError(
            "A folder must be a SavedModel (with a saved_model.pb in it) or a run (with a "
            f"model.keras, saved_model or model.tflite in it). Received: {path}"
        )
    return path


def kind_of(path):
    """`"tflite"`, `"saved_model"` or `"keras"`, from what `resolve` returned."""
    check_path(path)
    if path.is_dir():
        return "saved_model"
    if path.suffix in (".tflite", ".keras"):
        return path.suffix[1:]
    raise ValueError(
        f"A model must be a `.keras` file, a `.tflite` file, a SavedModel folder or a run folder. "
        f"Received: {path}"
    )


def size_of(path):
    """Bytes of a file, or of all files in a folder."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size


def read_flatbuffer(path):
    """A TFLite file as `(schema_py_generated.Model, bytes)`; damaged files raise `ValueError`."""
    from ai_edge_litert import schema_py_generated as schema

    data = Path(path).read_bytes()
    if data[4:8] != b"TFL3":
        raise ValueError(
            f"{path} is not a TFLite file: its bytes 4 to 8 must be b'TFL3'. "
            f"Received: {data[4:8]!r} in a file of {len(data):,} bytes. Export the model again."
        )
    with reading(path, "The TFLite file", ADVICE):
        return schema.Model.GetRootAs(data, 0), data


def output_order(path):
    """The names that a TFLite file's signature gives its outputs, in the order they have in it."""
    return _order(read_flatbuffer(path)[0], "Outputs")


def input_order(path):
    """The names that a TFLite file's signature gives its inputs, in the order they have in it."""
    return _order(read_flatbuffer(path)[0], "Inputs")


def _order(model, side):
    """Names of the tensors on one side of a file, those of its first signature if it has one."""
    graph = model.Subgraphs(0)
    indices = [int(index) for index in getattr(graph, f"{side}AsNumpy")()]
    names = {index: (graph.Tensors(index).Name() or b"").decode() for index in indices}
    if model.SignatureDefsLength():
        signature = model.SignatureDefs(0)
        for i in range(getattr(signature, f"{side}Length")()):
            tensor = getattr(signature, side)(i)
            names[tensor.TensorIndex()] = tensor.Name().decode()
    return [names[index] for index in indices]


def _describe_tflite(path):
    model, data = read_flatbuffer(path)
    with reading(path, "The TFLite file", ADVICE):
        return _report_of(path, model, data)


def _report_of(path, model, data):
    graph = model.Subgraphs(0)
    builtin, custom = _operators(model)
    metadata = read_metadata(model, data)
    own = metadata["own"]
    operators = {**builtin, **custom}
    return Report(
        path=str(path),
        kind="tflite",
        quantize=own.get("quantize", _guess_quantize(model, graph)),
        size_bytes=len(data),
        inputs=_tensors(model, "Inputs"),
        outputs=_tensors(model, "Outputs"),
        static_batch=_has_static_batch(graph),
        operators=dict(sorted(operators.items(), key=lambda item: (-item[1], item[0]))),
        flex_operators=sorted(name for name in custom if name.startswith("Flex")),
        custom_operators=sorted(name for name in custom if not name.startswith("Flex")),
        random_operators=sorted(filter(is_random, operators)),
        labels=metadata["labels"],
        mean=metadata["mean"],
        std=metadata["std"],
        task=own.get("task"),
        settings=own.get("settings"),
        made_by={k: v for k, v in own.items() if k not in ("quantize", "task", "settings")},
    )


def is_random(name):
    """Whether an operator of this name gives other numbers each time."""
    return any(word in name.lower() for word in _RANDOM)


def _operators(model):
    from ai_edge_litert import schema_py_generated as schema

    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()}
    builtin, custom = Counter(), Counter()
    for i in range(model.SubgraphsLength()):
        graph = model.Subgraphs(i)
        for j in range(graph.OperatorsLength()):
            code = model.OperatorCodes(graph.Operators(j).OpcodeIndex())
            # Operators of the first years stand in the old one-byte field.
            number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            if number == schema.BuiltinOperator.CUSTOM:
                custom[(code.CustomCode() or b"CUSTOM").decode()] += 1
            else:
                builtin[names.get(number, f"OPERATOR_{number}")] += 1
    return builtin, custom


def _tensors(model, side):
    graph = model.Subgraphs(0)
    indices = getattr(graph, f"{side}AsNumpy")()
    return [
        {"name": name, **_tensor(graph, index)}
        for name, index in zip(_order(model, side), indices, strict=True)
    ]


def _tensor(graph, index):
    from ai_edge_litert import schema_py_generated as schema

    types = {value: name for name, value in vars(schema.TensorType).items() if name.isupper()}
    tensor = graph.Tensors(int(index))
    quantization = tensor.Quantization()
    scales = quantization.ScaleLength() if quantization else 0
    return {
        "shape": [int(size) for size in _shape(tensor)],
        "dtype": types.get(tensor.Type(), "UNKNOWN").lower(),
        "scale": float(quantization.Scale(0)) if scales else None,
        "zero_point": int(quantization.ZeroPoint(0)) if scales else None,
    }


def _shape(tensor):
    # The signature holds -1 where a size may vary, which the shape shows as 1.
    if tensor.ShapeSignatureLength():
        return tensor.ShapeSignatureAsNumpy()
    return tensor.ShapeAsNumpy() if tensor.ShapeLength() else []


def _has_static_batch(graph):
    tensors = [graph.Tensors(int(i)) for i in (*graph.InputsAsNumpy(), *graph.OutputsAsNumpy())]
    return all(size >= 0 for tensor in tensors for size in _shape(tensor)[:1])


def _guess_quantize(model, graph):
    # Files of other tools do not say how they were made, but their tensors do.
    from ai_edge_litert import schema_py_generated as schema

    constant, computed = set(), set()
    for i in range(graph.TensorsLength()):
        tensor = graph.Tensors(i)
        empty = model.Buffers(tensor.Buffer()).DataIsNone()
        (computed if empty else constant).add(tensor.Type())
    if computed & {schema.TensorType.INT8, schema.TensorType.UINT8}:
        return "int8"
    if schema.TensorType.INT8 in constant:
        return "dynamic"
    return "float16" if schema.TensorType.FLOAT16 in constant else None
