"""One image on a phone's runtime: our MobileNetV2 beside the one of keras.applications.

Both have the same layers. Theirs is converted as TensorFlow's guide says and takes pixels already
normalised; ours normalises them itself.
"""

import keras
import numpy as np
import pytest

import kvision as kv

ROUNDS = 12


@pytest.fixture(scope="module")
def photos():
    return np.random.default_rng(0).integers(0, 256, (16, 224, 224, 3)).astype("uint8")


@pytest.fixture(scope="module")
def files(photos, tmp_path_factory):
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("latency")
    ours = kv.models.MobileNetV2()
    official = keras.applications.MobileNetV2(weights=None)
    paths = {
        ("float", "ours"): kv.export.tflite(ours, folder / "ours.tflite"),
        ("int8", "ours"): kv.export.tflite(
            ours, folder / "ours_int8.tflite", "int8", calibration=photos
        ),
    }
    for kind in ("float", "int8"):
        converter = tf.lite.TFLiteConverter.from_keras_model(official)
        if kind == "int8":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: (
                [photo[None].astype("float32") / 127.5 - 1] for photo in photos
            )
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = tf.uint8
            converter.inference_output_type = tf.uint8
        paths[kind, "official"] = folder / f"official_{kind}.tflite"
        paths[kind, "official"].write_bytes(converter.convert())
    return paths


@pytest.mark.bench
@pytest.mark.parametrize("threads", [1, 2])
def test_latency_beside_the_official_file(files, threads):
    # The files take turns, so that what else the machine does hits all of them alike.
    times = {key: [] for key in files}
    for _ in range(ROUNDS):
        for key, path in files.items():
            report = kv.export.benchmark(path, threads=threads, runs=12, warmup=3)
            times[key].append(report.median_ms)
    median = {key: float(np.median(values)) for key, values in times.items()}
    print()
    for kind in ("float", "int8"):
        ours, official = median[kind, "ours"], median[kind, "official"]
        print(
            f"{kind} latency ours / official: {ours / official:.2f} "
            f"({ours:.2f} ms / {official:.2f} ms, MobileNetV2 at 224, threads {threads})"
        )
        assert ours < 1.25 * official
    assert median["int8", "ours"] < median["float", "ours"]
