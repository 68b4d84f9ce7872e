"""How fast the synthetic world is drawn: pictures a second, beside reading and decoding a PNG."""

import io
import time

import numpy as np
import pytest

import kvision as kv
from kvision.data.scenes import render, sample_scene

pytestmark = pytest.mark.bench

SIZES = ((96, 96), (128, 128), (256, 256))
PICTURES, ROUNDS = 60, 5


def rate(draw, items):
    """The best of a few rounds, in items a second."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for item in items:
            draw(item)
        seconds.append(time.perf_counter() - start)
    return len(items) / min(seconds)


def test_scenes_a_second(capsys):
    from PIL import Image

    lines = []
    for size in SIZES:
        scenes = [sample_scene(seed, aspect=size[1] / size[0]) for seed in range(PICTURES)]
        drawn = rate(lambda scene, size=size: render(scene, size=size), scenes)
        invented = rate(sample_scene, range(PICTURES))
        files = []
        for scene in scenes:
            truth = render(scene, size=size)
            for key in ("image", "segmentation_mask"):
                file = io.BytesIO()
                Image.fromarray(truth[key].squeeze()).save(file, "png")
                files.append(file)
        decoded = rate(lambda file: np.asarray(Image.open(file)), files) / 2
        dataset = kv.data.load("scenes", f"train[:{PICTURES}]", size=size)
        served = rate(lambda source: [None for _ in source], [dataset]) * PICTURES
        lines.append(
            f"{size[0]}x{size[1]}: drawn {drawn:.0f} a second, invented {invented:.0f}, "
            f"served by tf.data {served:.0f}; image and mask from PNG {decoded:.0f}"
        )
        assert drawn > 20
    with capsys.disabled():
        print("\n" + "\n".join(lines))
