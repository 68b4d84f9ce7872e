"""Measures every network of the registry and writes docs/models.md: `python -m kvision.zoo`.

Names may follow, to measure those only. A run over all networks that was ended goes on where it
was; what it measured becomes the package's when all of it is there.
"""

import concurrent.futures
import datetime
import json
import multiprocessing
import os
import platform
import tempfile
import time
from importlib import metadata
from pathlib import Path

import numpy as np

from kvision import export, models, registry
from kvision.export.files.live import retraced
from kvision.runs.releasing import PACKAGES
from kvision.zoo.catalogue import (
    MEASURED,
    OPEN_SIZE,
    default_shape,
    measurements,
    models_page,
)

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "models.md"
UNFINISHED = ROOT / "build" / "measured.json"
THREADS = 2
PICTURES = 8
FEW_PICTURES = 2  # where each gives many numbers, such as scores of pixels
REGIONS = 2000  # of a picture, for networks that are given them
FEW_VALUES = 32
LONGEST = 20.0  # seconds that timing one form of a network may take


def measure(name, runs=30, **options):
    """Builds a network, exports it, proves the files and times everything, one picture at a time.

    The weights are random, but made to answer each of some pictures with another class, pixels and
    anchors with different ones, so that the proof has something to compare.

    Args:
        name: of a registered network.
        runs: timed runs; fewer where one takes long.
        **options: arguments of its builder; by default the published network is measured.

    Returns:
        A dict: `build_seconds`, `cpu_ms` (the median of the compiled Keras model), `levels` (pairs
        of stride and layer), `tflite` and, of classifiers for phones, `int8` (dicts with
        `passed`, `reasons`, `max_difference`, `largest_output`, `top1_agreement`, `megabytes` and
        `ms`), `threads`, `runs`, `date`, `machine` and `versions`.

    Example:

    ```python
    from kvision.zoo.measuring import measure

    print(measure("ResNetCIFAR", runs=3)["tflite"]["megabytes"])
    ```
    """
    import keras

    keras.utils.set_random_seed(0)
    entry = registry.model_info(name)
    height, width, channels = options.get("input_shape") or default_shape(entry)
    options["input_shape"] = (height or OPEN_SIZE[0], width or OPEN_SIZE[1], channels)
    start = time.perf_counter()
    model = entry.builder(**options)
    build_seconds = time.perf_counter() - start
    images = _inputs(model, FEW_PICTURES if _gives_maps(model) else PICTURES)
    if has_file(entry):
        _awaken(model, images)
    one = keras.tree.map_structure(lambda part: part[:1], images)
    model.predict_on_batch(one)
    start = time.perf_counter()
    model.predict_on_batch(one)
    runs = max(3, min(runs, round(LONGEST / (time.perf_counter() - start))))
    record = {
        "parameters": sum(int(np.prod(weight.shape)) for weight in model.trainable_weights),
        "build_seconds": round(build_seconds, 2),
        "cpu_ms": _median_ms(lambda: model.predict_on_batch(one), runs),
    }
    if has_file(entry):
        record["tflite"] = _file(model, None, images, runs)
    if entry.levels:
        record["levels"] = [[stride, layer] for stride, layer in models.levels(model).items()]
    if has_int8(entry):
        record["int8"] = _file(model, "int8", images, runs)
    return {**record, "threads": THREADS, "runs": runs, **_circumstances()}


def _gives_maps(model):
    """Whether the outputs are as large as pictures."""
    return any(len(tensor.shape) == 4 for tensor in model.outputs)


def has_file(entry):
    """Whether a TFLite file is measured: of all classifiers, and of what else is for phones."""
    return entry.mobile or entry.task == "classification"


def has_int8(entry):
    """Whether an int8 file is measured: random weights of a segmenter do not survive rounding."""
    return entry.mobile and entry.task == "classification"


def _inputs(model, count):
    """Pictures, and as many regions of them as R-CNN looks at where the network wants these."""
    if not isinstance(model.input, dict):
        return _pictures(model.input_shape[1:], count)
    corners = np.random.default_rng(0).uniform(0, 1, (count, REGIONS, 2, 2)).astype("float32")
    regions = np.concatenate([corners.min(2), corners.max(2)], axis=-1)
    return {"image": _pictures(model.input["image"].shape[1:], count), "proposals": regions}


def _pictures(shape, count):
    """Smooth, differently coloured pictures with a little noise."""
    import keras

    random = np.random.default_rng(0)
    coarse = random.uniform(0, 255, (count, 5, 5, shape[-1])).astype("float32")
    smooth = keras.ops.image.resize(coarse, shape[:2], interpolation="bicubic")
    noise = random.normal(0, 20, (count, *shape))
    return np.clip(np.asarray(smooth) + noise, 0, 255).astype("float32")


def _awaken(model, images):
    """Fits moving statistics to the images, and the last layer so that they get their classes."""
    import keras

    norms = [la for la in model.layers if isinstance(la, keras.layers.BatchNormalization)]
    for norm in norms:
        # The statistics of a few values are chance: there, most of the initial ones is kept.
        values = len(images) * int(np.prod(norm.input.shape[1:-1]))
        norm.momentum = 0.0 if values >= FEW_VALUES else 0.9
    if norms:
        model(images, training=True)
    for layer in (layer for layer in model.layers if hasattr(layer, "kernel")):
        kernel = np.asarray(layer.kernel)
        he = (2 / np.prod(kernel.shape[:-1])) ** 0.5
        if not kernel.any():  # scores that begin at zero
            layer.kernel.assign(np.random.default_rng(0).normal(0, he, kernel.shape))
        elif not norms and kernel.std() and not isinstance(layer, keras.layers.Conv2DTranspose):
            layer.kernel.assign(kernel * max(1.0, he / kernel.std()))
    head = model.layers[-1]
    if isinstance(model.output, dict):
        _spread_classes(model, images)
    elif isinstance(head, keras.layers.Dense):
        _tell_apart(model, head, images)
    elif head.name == "predictions":
        _spread(model, head, images)


def _tell_apart(model, head, images):
    """Weights of a classifier's last layer that give each image its own class."""
    import keras

    features = keras.Model(model.input, head.input).predict_on_batch(images).astype("float64")
    kernel, classes = np.asarray(head.kernel, "float64"), head.units
    # As sure as a trained network: 97 %, which a change of the features by 1e-4 moves by 1e-4.
    wanted = (np.log(classes) + 3.5) * np.eye(classes)[np.arange(len(images)) % classes]
    missing = wanted - features @ kernel
    centred = features - features.mean(axis=0)
    kernel += np.linalg.lstsq(centred, missing - missing.mean(axis=0), rcond=1e-3)[0]
    head.set_weights([kernel, (wanted - features @ kernel).mean(axis=0)])


def _spread(model, head, images):
    """Scores of pixels that differ as a trained segmenter's do: a standard deviation of 2."""
    import keras

    scores = keras.Model(model.input, head.input).predict_on_batch(images[:1])
    for layer in score_layers(model):
        layer.kernel.assign(layer.kernel * (2 / max(scores.std(), 1e-6)))


def _spread_classes(model, images):
    """Scores of a single-shot detector's anchors that differ, with a standard deviation of 1."""
    import keras

    logits = keras.Model(model.input, model.output["raw"]["logits"]).predict_on_batch(images[:1])
    for layer in model.layers:
        if layer.name.startswith("class_head") and isinstance(layer, keras.layers.Conv2D):
            layer.kernel.assign(layer.kernel * (1 / logits.std(axis=(0, 1)).mean()))
            layer.bias.assign(layer.bias * 0)


def score_layers(model):
    """The last convolutions of a segmenter: behind them its scores are resized, cut and added."""
    import keras

    graph, makers = retraced(model)
    tensors, found = list(graph.outputs), {}
    while tensors:
        layer, sources = makers.get(id(tensors.pop()), (None, []))
        if type(layer) is keras.layers.Conv2D:
            found[layer.name] = layer
        else:
            tensors += sources
    return list(found.values())


def _file(model, quantize, images, runs):
    """Size, speed and check of one TFLite file."""
    truth = _own_truth(model, images)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        try:
            export.tflite(model, path, quantize, calibration=images)
        except ValueError as error:
            return {"passed": False, "reasons": [str(error)]}
        check = export.verify(model, path, [(images, truth)])
        taken = ("passed", "reasons", "max_difference", "largest_output", "top1_agreement")
        record = {key: check[key] for key in taken if key in check}
        if check.passed:
            timed = export.benchmark(path, threads=THREADS, runs=runs, warmup=2)
            record["megabytes"] = round(timed.size_bytes / 1e6, 3)
            record["ms"] = round(timed.median_ms, 3)
        return record


def _own_truth(model, images):
    """The model's own classes or objects: what its file must give."""
    found = [model.predict_on_batch(image[None]) for image in images]
    if isinstance(model.output, dict):
        return {key: np.concatenate([one[key] for one in found]) for key in ("boxes", "classes")}
    return np.concatenate(found).argmax(-1)


def _median_ms(call, runs, warmup=2):
    times = []
    for _ in range(warmup + runs):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1000)
    return round(float(np.median(times[warmup:])), 3)


def _circumstances():
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text(encoding="utf-8").splitlines() if cpu.is_file() else []
    named = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    processor = named[0] if named else platform.processor() or platform.machine()
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": f"{processor}, {os.cpu_count()} cores, {platform.system()}",
        "versions": {package: metadata.version(package) for package in PACKAGES},
    }


def main(names=()):
    """Measures the named networks or all, each in a process of its own, and writes the page.

    Returns:
        Whether every network passed its checks.
    """
    if not PAGE.parent.is_dir():
        raise FileNotFoundError(
            f"{PAGE} must be in a checkout of kvision. There is no such folder."
        )
    for name in names:
        registry.model_info(name)
    results = measurements() if names else _begun()
    file = MEASURED if names else UNFINISHED
    for name in names or registry.list_models():
        if not names and name in results:
            print(f"{name}: measured before", flush=True)
            continue
        start = time.monotonic()
        results[name] = _apart(name)
        _write(file, results)
        print(f"{_line(name, results[name])} [{time.monotonic() - start:.0f} s]", flush=True)
    if not names:
        _write(MEASURED, results)
        UNFINISHED.unlink()
    PAGE.write_text(models_page(), encoding="utf-8")
    print(f"Wrote {MEASURED} and {PAGE}")
    return all(_passed(record) for record in results.values())


def _begun():
    """What an ended run over all networks measured on this machine, if there was one."""
    if os.getloadavg()[0] > 0.5:
        print(f"The machine is busy (load {os.getloadavg()[0]:.1f}): times will be too long.")
    now = _circumstances()
    found = {
        name: record
        for name, record in measurements(UNFINISHED).items()
        if _passed(record) and all(record[key] == now[key] for key in ("machine", "versions"))
    }
    if found:
        print(f"Going on with {len(found)} networks from {UNFINISHED}; delete it to begin anew.")
    return found


def _apart(name, work=measure):
    """Works in a process of its own: what it held, or took down, ends with it."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(work, name).result()
        except concurrent.futures.BrokenExecutor as error:
            check = {"passed": False, "reasons": [f"The process ended: {error}"]}
            return {"tflite": check, **_circumstances()}


def _passed(record):
    return all(record[kind]["passed"] for kind in ("tflite", "int8") if kind in record)


def _line(name, record):
    parts = [f"Keras {record.get('cpu_ms')} ms, built in {record.get('build_seconds')} s"]
    for kind in ("tflite", "int8"):
        check = record.get(kind)
        if check and check["passed"]:
            parts.append(
                f"{kind} {check['ms']} ms, {check['megabytes']} MB, largest difference "
                f"{check['max_difference']:.2g}"
            )
        elif check:
            parts.append(f"{kind} FAILED: {' '.join(check['reasons'])}")
    return f"{name}: " + "; ".join(parts)


def _write(path, results):
    path.parent.mkdir(exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    ordered = {name: results[name] for name in sorted(results)}
    partial.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
    os.replace(partial, path)
