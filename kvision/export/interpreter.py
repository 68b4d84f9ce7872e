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


def input_converter(report):
    """A function from float32 pixels 0..255 to what a `.tflite` file takes.

    Args:
        report: `describe` of the file. A uint8 input takes the pixels themselves; a float input
            takes them normalised as the metadata say; an int8 input takes that, quantised.
    """
    image = report.inputs[0]
    mean, std = np.float32(report.mean or [0.0]), np.float32(report.std or [1.0])
    if image["dtype"] == "uint8":
        return lambda pixels: np.clip(np.rint(pixels), 0, 255).astype("uint8")
    if image["dtype"] == "float32":
        return lambda pixels: ((pixels - mean) / std).astype("float32")
    if image["dtype"] == "int8":
        return lambda pixels: np.clip(
            np.rint((pixels - mean) / std / image["scale"]) + image["zero_point"], -128, 127
        ).astype("int8")
    raise ValueError(
        f"{report.path} must take uint8, int8 or float32 pixels. Received: {image['dtype']}"
    )


def named_outputs(interpreter):
    """`{the model's name of an output: its details}`."""
    # The order of the outputs is the converter's own; their names are the model's.
    details = {detail["name"]: detail for detail in interpreter.get_output_details()}
    signatures = interpreter.get_signature_list()
    if len(details) == 1 or not signatures:
        return details
    runner = interpreter.get_signature_runner(next(iter(signatures)))
    return dict(runner.get_output_details())


def real_values(interpreter, detail):
    """What an output holds, in real numbers; whole numbers that mean themselves as they are."""
    values = interpreter.get_tensor(detail["index"])
    scale, zero_point = detail["quantization"]
    if values.dtype != np.float32 and scale:
        return (values.astype("float32") - zero_point) * np.float32(scale)
    return values if values.dtype.kind in "ui" else values.astype("float32")
