"""From R-CNN to Faster R-CNN: seconds for one picture, and what each step gained, as ratios.

All four look at the same picture with VGG16's layers, the first three at the same regions.
"""

import statistics
import time

import keras
import pytest

import kvision as kv

pytestmark = pytest.mark.bench

SIZE = (600, 800)  # the short side of Fast and Faster R-CNN
ALPHA = 0.25  # of the layers' width everywhere: a sixteenth of the work for each of the four
CLASSES = 20
ROUNDS = 3


@pytest.fixture(scope="module")
def picture():
    data = kv.data.load("scenes", "test[:1]", size=SIZE, difficulty=1.0)
    return next(iter(data.as_numpy_iterator()))["image"]


def seconds(function, rounds=ROUNDS):
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def one_pass(name, picture, proposals):
    """A call of a detector, compiled."""
    given = {"alpha": ALPHA, "input_shape": (*SIZE, 3), "classes": CLASSES}
    if name == "SPPNet":
        given["backbone"] = "VGG16"
    model = kv.build_model(name, **given)
    inputs = {"image": picture[None].astype("float32"), "proposals": proposals[None]}
    inputs = inputs if name != "FasterRCNN" else inputs["image"]
    network = keras.Model(model.input, [model.output[key] for key in ("boxes", "scores")])
    network.predict_on_batch(inputs)
    return lambda: network.predict_on_batch(inputs)


def test_speed_up_of_each_step_over_the_last(picture, capsys):
    proposals = kv.classical.selective_search(picture)
    search = seconds(lambda: kv.classical.selective_search(picture), 1)
    network = kv.models.VGG16(alpha=ALPHA, classes=CLASSES + 1)
    regions = kv.classical.RegionFeatures(network)
    regions(picture, proposals[:1])
    times = {"R-CNN": seconds(lambda: regions(picture, proposals), 1)}
    for name, title in (
        ("SPPNet", "SPP-net"),
        ("FastRCNN", "Fast R-CNN"),
        ("FasterRCNN", "Faster R-CNN"),
    ):
        times[title] = seconds(one_pass(name, picture, proposals))
        keras.backend.clear_session()
    whole = {name: t + search * (name != "Faster R-CNN") for name, t in times.items()}
    with capsys.disabled():
        print(f"\nOne picture of {SIZE[1]}x{SIZE[0]}, VGG16 of width {ALPHA}")
        print(f"{len(proposals)} regions, which selective search takes {search:.2f} s to find")
        print(f"  {'':14}  network  over the last     whole  over the last")
        for last, name in zip([None, *times], times, strict=False):
            gain, total = (
                f"{part[last] / part[name]:8.1f} x" if last else " " * 10 for part in (times, whole)
            )
            print(f"  {name:14} {times[name]:6.2f} s {gain:>14} {whole[name]:8.2f} s {total:>14}")
    assert len(proposals) >= 300
    assert times["R-CNN"] > 5 * times["SPP-net"]
    assert times["Fast R-CNN"] < 1.5 * times["SPP-net"]
    assert whole["Faster R-CNN"] < whole["Fast R-CNN"]
