"""Detectors with prepared answers, and pictures for them to be right and wrong about."""

import numpy as np

NAMES = ["cat", "dog", "bird", "cow"]


class Fixed:
    """A detector with prepared answers, one batch after another."""

    def __init__(self, answers):
        self.answers = list(answers)
        self.calls = 0

    def predict(self, images, batch_size):
        assert batch_size == len(images)
        self.calls += 1
        return self.answers[self.calls - 1]


def relative(boxes, size):
    """COCO's x, y, width, height in pixels as float32 rel_yxyx."""
    x, y, width, height = np.asarray(boxes, "float64").reshape(-1, 4).T
    corners = np.stack([y, x, y + height, x + width], -1)
    return (corners / (size[0], size[1], size[0], size[1])).astype("float32")


def padded(rows, length, fill):
    rows = [np.asarray(row) for row in rows]
    width = rows[0].shape[1:]
    return np.stack(
        [
            np.concatenate([row, np.full((length - len(row), *width), fill, row.dtype)])
            for row in rows
        ]
    )


def in_batches(pictures, batch_size=3):
    """Batches of truth and a model of detections, from COCO-like dicts a picture."""
    batches, answers = [], []
    for first in range(0, len(pictures), batch_size):
        some = pictures[first : first + batch_size]
        most = max(len(p["true"]) for p in some) + 1
        rows = {
            "boxes": ([relative([o["bbox"] for o in p["true"]], p["size"]) for p in some], 0),
            "classes": ([np.array([o["class"] for o in p["true"]], int) for p in some], -1),
            "crowd": ([np.array([o.get("crowd", 0) for o in p["true"]], bool) for p in some], 0),
            "difficult": (
                [np.array([o.get("difficult", 0) for o in p["true"]], bool) for p in some],
                0,
            ),
            "area": (
                [
                    np.array([o["area"] / np.prod(p["size"]) for o in p["true"]], "float32")
                    for p in some
                ],
                0,
            ),
        }
        truth = {key: padded(values, most, fill) for key, (values, fill) in rows.items()}
        truth["size"] = np.array([p["size"] for p in some], "int32")
        batches.append((np.zeros((len(some), 8, 8, 3)), truth))
        found = {
            "boxes": ([relative([o["bbox"] for o in p["found"]], p["size"]) for p in some], 0),
            "classes": ([np.array([o["class"] for o in p["found"]], int) for p in some], -1),
            "scores": ([np.array([o["score"] for o in p["found"]], float) for p in some], 0),
        }
        most = max(len(p["found"]) for p in some) + 2
        answers.append({key: padded(values, most, fill) for key, (values, fill) in found.items()})
    return Fixed(answers), batches


def world(seed=0, count=24, crowd=0.1, difficult=0.0, decimals=2):
    """Pictures with objects of all areas; some without objects, some without detections."""
    random = np.random.default_rng(seed)
    pictures = []
    for number in range(count):
        size = (int(random.integers(200, 500)), int(random.integers(200, 640)))

        def box(size=size):
            width, height = np.exp(random.uniform(np.log(12), np.log(190), 2))
            x, y = random.uniform(0, size[1] - width), random.uniform(0, size[0] - height)
            return np.round([x, y, width, height], decimals)

        true = []
        for _ in range(0 if number % 6 == 1 else random.integers(1, 9)):
            bbox = box()
            true.append(
                {
                    "bbox": bbox.tolist(),
                    "class": int(random.integers(0, 3)),  # there are no cows
                    "area": round(float(bbox[2] * bbox[3] * random.uniform(0.5, 1)), 4),
                    "crowd": int(random.random() < crowd),
                    "difficult": int(random.random() < difficult),
                }
            )
        found = []
        for o in true * 2:
            bbox = np.array(o["bbox"]) + random.normal(0, 0.06, 4) * o["bbox"][2]
            class_ = o["class"] if random.random() < 0.8 else random.integers(0, 4)
            found.append({"bbox": np.maximum(bbox, 0.5).round(2).tolist(), "class": int(class_)})
        found += [{"bbox": box().tolist(), "class": int(random.integers(0, 4))} for _ in range(4)]
        for o in found:  # coarse, so that some are equal
            o["score"] = float(np.float32(random.integers(1, 30) / 30))
        found.sort(key=lambda o: -o["score"])
        pictures.append({"size": size, "true": true, "found": [] if number % 7 == 2 else found})
    return pictures
