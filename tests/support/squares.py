"""Pictures of squares in three colours, and a small network that finds them."""

import numpy as np
from PIL import Image

SHAPES = ["blue", "bright", "red"]
_COLOURS = [(40, 40, 230), (230, 230, 230), (230, 40, 40)]


def squares(count, seed, size=64):
    """Squares of three colours on dark ground, at most three in a picture, and the truth."""
    random = np.random.default_rng(seed)
    images = random.uniform(0, 60, (count, size, size, 3))
    boxes, classes = np.zeros((count, 3, 4), "float32"), np.full((count, 3), -1, "int32")
    for i in range(count):
        for n in range(random.integers(0, 4)):
            side, label = random.choice((12, 16, 24, 32)), random.integers(3)
            top, left = random.integers(0, size - side, 2)
            images[i, top : top + side, left : left + side] = _COLOURS[label]
            boxes[i, n] = np.array([top, left, top + side, left + side]) / size
            classes[i, n] = label
    truth = {"boxes": boxes, "classes": classes, "difficult": classes < -1, "crowd": classes < -1}
    return images.round().astype("uint8"), truth


def write_squares(folder, count, seed):
    """The same as PNG files beside a CSV file of their boxes; returns its path."""
    images, truth = squares(count, seed)
    folder.mkdir(parents=True)
    rows = ["image,xmin,ymin,xmax,ymax,class"]
    for number, image in enumerate(images):
        name = f"{number:03}.png"
        Image.fromarray(image).save(folder / name)
        boxes = (truth["boxes"][number] * image.shape[0]).astype(int)
        labels = truth["classes"][number]
        found = [
            f"{name},{left},{top},{right},{bottom},{SHAPES[label]}"
            for (top, left, bottom, right), label in zip(boxes, labels, strict=True)
            if label >= 0
        ]
        rows += found or [f"{name},,,,,"]
    path = folder / "boxes.csv"
    path.write_text("\n".join(rows))
    return path


VARIANCES = (0.1, 0.12, 0.2, 0.25)  # all different, so that none can be taken for another


def build_detector():
    """A small detector of one pass: two levels of two shapes."""
    import keras
    from keras import layers

    from kvision.models.detection.single_shot import SingleShotDetector, single_shot_network

    image = keras.Input((64, 64, 3))
    x, maps = layers.Rescaling(1 / 127.5, -1)(image), []
    for filters in (16, 24, 32, 48):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.9)(x))
        maps.append(x)

    def predictor(x, filters, name, bias):
        return layers.Conv2D(filters, 3, padding="same", bias_initializer=bias, name=name)(x)

    network = single_shot_network(
        image,
        maps[2:],
        [[(12, 12), (16, 20)], [(24, 24), (36, 28)]],
        3,
        predictor,
        variances=VARIANCES,
        detections={"iou_threshold": 0.5, "score_threshold": 0.05, "most": 20},
        name="squares",
    )
    return SingleShotDetector(network, variances=VARIANCES)
