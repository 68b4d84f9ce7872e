"""LiteRT, which runs `.tflite` files, and what goes in and out of it."""

import numpy as np

from kvision.quiet import without_noise


def open_interpreter(path, threads):
    """A LiteRT interpreter of a file, its tensors allocated."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        with without_noise():
            interpreter = Interpreter(model_path=str(path), num_threads=threads)
            interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"LiteRT cannot run {path}: {str(error).strip()}. Export the model again with "
            "kv.export.tflite."
        ) from error
    return interpreter


def input_converter(report, tensor):
    """Returns a function from what a model takes to what one input of a `.tflite` file takes.

    Args:
        report: `describe` of the file.
        tensor: one of `report.inputs`. Of images a uint8 one takes the pixels 0..255 themselves, a
            float one takes them normalised as the metadata say, an int8 one takes that, quantised.
            Other inputs are quantised where they are whole numbers with a scale.

    Raises:
        ValueError: where an image is of another type.
    """
    images = len(tensor["shape"]) == 4
    mean, std = np.float32(report.mean or [0.0]), np.float32(report.std or [1.0])
    dtype, scale = tensor["dtype"], tensor["scale"]
    if images and dtype == "uint8":
        return lambda pixels: np.clip(np.rint(pixels), 0, 255).astype("uint8")
    if images and dtype not in ("float32", "int8"):
        raise ValueError(
            f"{report.path} must take uint8, int8 or float32 pixels. Received: {dtype}"
        )
    if dtype not in ("uint8", "int8") or not scale:
        return lambda values: ((values - mean) / std if images else values).astype(dtype)
    limits = np.iinfo(dtype)

    def quantized(values):
        values = ((values - mean) / std if images else values) / scale + tensor["zero_point"]
        return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)

    return quantized


def named_inputs(interpreter):
    """`{the model's name of an input: its details}`."""
    return _named(interpreter, "input")


def named_outputs(interpreter):
    """`{the model's name of an output: its details}`."""
    return _named(interpreter, "output")


def _named(interpreter, side):
    # The order of inputs and outputs is the converter's own; their names are the model's.
    details = {each["name"]: each for each in getattr(interpreter, f"get_{side}_details")()}
    signatures = interpreter.get_signature_list()
    if not signatures:
        return details
    runner = interpreter.get_signature_runner(next(iter(signatures)))
    return dict(getattr(runner, f"get_{side}_details")())


def real_values(interpreter, detail):
    """What an output holds, in real numbers; whole numbers that mean themselves as they are."""
    values = interpreter.get_tensor(detail["index"])
    scale, zero_point = detail["quantization"]
    if values.dtype != np.float32 and scale:
        return (values.astype("float32") - zero_point) * np.float32(scale)
    return values if values.dtype.kind in "ui" else values.astype("float32")
