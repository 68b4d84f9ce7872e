"""How long one image takes."""

import time

import numpy as np

from kvision.export.interpreter import input_converter, named_inputs, open_interpreter
from kvision.export.metadata.contents import describe, kind_of, resolve
from kvision.export.proof.report import Report
from kvision.export.runtime import load
from kvision.export.specs import Spec, each, random_values


def benchmark(path, threads=1, runs=50, warmup=5):
    """Times an exported file on one image at a time.

    The times are this machine's. Compare two files in one session, not two machines' numbers.

    Args:
        path: a `.tflite` file, a SavedModel folder, a `.keras` file or a run folder.
        threads: number of threads for a `.tflite` file, or a list of numbers to be timed one
            after the other. Other formats use TensorFlow's own threads.
        runs: timed runs.
        warmup: runs before them that are not timed.

    Returns:
        A `Report` with `path`, `kind`, `threads` (`None` for TensorFlow's own), `runs`,
        `median_ms`, `p90_ms` and `size_bytes`. With a list of threads, the figures stand in
        `results`, a list of one `Report` for each number, and at the top those of the first.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        ValueError: it cannot be run, or a number is not positive.

    Example:

    ```python
    print(kv.export.benchmark("saved_models/quickstart/model_int8.tflite", threads=[1, 2]))
    ```
    """
    several = isinstance(threads, (list, tuple))
    numbers = list(threads) if several else [threads]
    if not numbers or any(not isinstance(n, int) or n < 1 for n in (*numbers, runs)) or warmup < 0:
        raise ValueError(
            "`threads` and `runs` must be at least 1 and `warmup` at least 0. "
            f"Received: threads={threads}, runs={runs}, warmup={warmup}"
        )
    path = resolve(path)
    kind = kind_of(path)
    if kind != "tflite":
        numbers = [None]
    rows = []
    for number in numbers:
        times = _time(_invoker(path, kind, number), runs, warmup)
        median, p90 = (float(np.percentile(times, q)) for q in (50, 90))
        rows.append(Report(threads=number, runs=runs, median_ms=median, p90_ms=p90))
    report = Report(path=str(path), kind=kind, size_bytes=describe(path).size_bytes, **rows[0])
    if several:
        report.results = rows
    return report


def _invoker(path, kind, threads):
    if kind != "tflite":
        model = load(path)
        inputs = each(lambda spec: random_values(spec, 1), model.inputs)
        return lambda: model.predict(inputs)
    report = describe(path)
    interpreter = open_interpreter(path, threads)
    sources = named_inputs(interpreter)
    for tensor in report.inputs:
        source = sources[tensor["name"]]
        spec = Spec(tuple(source["shape"]), tensor["dtype"])
        spec = spec._replace(dtype="float32") if tensor["scale"] else spec
        interpreter.set_tensor(
            source["index"],
            input_converter(report, tensor)(random_values(spec, source["shape"][0])),
        )
    return interpreter.invoke


def _time(invoke, runs, warmup):
    times = []
    for number in range(warmup + runs):
        start = time.perf_counter()
        invoke()
        if number >= warmup:
            times.append((time.perf_counter() - start) * 1000)
    return times
