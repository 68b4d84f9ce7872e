"""How fast the synthetic world is drawn: pictures a second, beside reading and decoding a PNG."""

import io
import time

import numpy as np
import pytest

import kvision as kv
from kvision.data.scenes import render, sample_scene

pytestmark = pytest.mark.bench

SIZES = ((96, 96), (128, 128), (256, 256))
PICTURES, ROUNDS = 40, 3


def rate(draw, items, clock=time.thread_time):
    """The best of a few rounds, in items a second of one core."""
    seconds = []
    for _ in range(ROUNDS):
        start = clock()
        for item in items:
            draw(item)
        seconds.append(clock() - start)
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
        # All cores at work: seconds on the wall.
        served = rate(lambda source: [None for _ in source], [dataset], time.perf_counter)
        served *= PICTURES
        lines.append(
            f"{size[0]}x{size[1]}: a core draws {drawn:.0f} a second and invents {invented:.0f}; "
            f"tf.data serves {served:.0f}; a core decodes {decoded:.0f} pairs of PNG"
        )
        assert drawn > 20, size
    with capsys.disabled():
        print("\n" + "\n".join(lines))
