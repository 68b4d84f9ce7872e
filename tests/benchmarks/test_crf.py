"""The CRF layer beside a straightforward dense implementation in NumPy, as ratios."""

import statistics
import time

import keras
import numpy as np
import pytest

from kvision.layers import FullyConnectedCRF

pytestmark = pytest.mark.bench

CLASSES = 21
ROUNDS = 3


def dense(scores, image, theta_alpha=67.0, theta_beta=3.0, theta_gamma=1.0):
    """Ten mean-field iterations with both N x N kernels, in NumPy."""
    height, width, classes = scores.shape
    places = np.indices((height, width)).reshape(2, -1).astype("float32")
    far = sum((axis[:, None] - axis) ** 2 for axis in places)
    unlike = sum((c[:, None] - c) ** 2 for c in image.reshape(-1, 3).T)
    kernel = np.zeros_like(far)
    exponents = -far / (2 * theta_alpha**2) - unlike / (2 * theta_beta**2)
    for weight, exponent in ((4.0, exponents), (3.0, -far / (2 * theta_gamma**2))):
        part = np.exp(exponent)
        np.fill_diagonal(part, 0)
        kernel += weight * part / part.sum(axis=1, keepdims=True)
    flat = refined = scores.reshape(-1, classes)
    for _ in range(10):
        powers = np.exp(refined - refined.max(axis=1, keepdims=True))
        refined = flat + kernel @ (powers / powers.sum(axis=1, keepdims=True))
    return refined.reshape(scores.shape)


def case(side):
    random = np.random.default_rng(0)
    scores = random.normal(0, 1, (1, side, side, CLASSES)).astype("float32")
    image = random.normal(120, 3, (1, side, side, 3)).astype("float32")
    return scores, image


def seconds(function):
    function()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def compiled(side, window):
    inputs = [keras.Input((side, side, CLASSES)), keras.Input((side, side, 3))]
    model = keras.Model(inputs, FullyConnectedCRF(window=window)(inputs))
    return lambda parts: model.predict_on_batch(list(parts))


@pytest.mark.parametrize("side", [64, 128])
def test_seconds_a_picture(side, capsys):
    parts = case(side)
    windows = (None, 7, 11, 21) if side <= 64 else (7, 11, 21)
    networks = {window: compiled(side, window) for window in windows}
    times = {window: seconds(lambda n=net: n(parts)) for window, net in networks.items()}
    lines = {f"window {window}" if window else "exact": t for window, t in times.items()}
    if side <= 64:
        lines["NumPy, dense"] = seconds(lambda: dense(parts[0][0], parts[1][0]))
        expected = dense(parts[0][0], parts[1][0])
        difference = np.abs(networks[None](parts)[0] - expected).max()
        assert difference < 1e-3
        assert lines["exact"] < 1.5 * lines["NumPy, dense"]
    with capsys.disabled():
        print(f"\n{side}x{side}, {CLASSES} classes, 10 iterations")
        for name, value in lines.items():
            ratio = value / lines["window 11"]
            print(f"  {name:14} {value * 1000:7.0f} ms   {ratio:5.2f} x window 11")
