"""Batches of warped regions, to tune a classifier to them by a plain `fit`."""

import keras
import numpy as np

from kvision.classical.described import on_ignored, overlaps
from kvision.classical.pictures import as_boxes, as_pixels, pictures
from kvision.classical.selective_search import selective_search
from kvision.classical.warping import IMAGENET_MEAN, warp_regions

OBJECT = 0.5  # overlap from which a region counts as the object


class RegionBatches(keras.utils.PyDataset):
    """What `region_batches` returns: see there."""

    def __init__(self, images, boxes, labels, options, positives, negatives, seed):
        super().__init__()
        self._images, self._boxes, self._labels, self._options = images, boxes, labels, options
        self._numbers = {True: positives, False: negatives}
        self._seed, self._epoch = seed, 0
        places = [(i, j) for i, found in enumerate(labels) for j in range(len(found))]
        flat = np.array([labels[i][j] for i, j in places], int)
        places = np.array(places, int).reshape(-1, 2)
        self._pools = {True: places[flat > 0], False: places[flat == 0]}
        for kind, word in ((True, "objects"), (False, "background")):
            if self._numbers[kind] and not len(self._pools[kind]):
                raise ValueError(
                    f"The pictures must have regions of {word} for batches with "
                    f"{self._numbers[kind]} of them. Received none. Add pictures, or proposals."
                )

    def __len__(self):
        return max(1, len(self._pools[True]) // max(1, self._numbers[True]))

    def __getitem__(self, index):
        random = np.random.default_rng([self._seed, self._epoch, index])
        chosen = np.concatenate(
            [
                pool[random.choice(len(pool), number, replace=len(pool) < number)]
                for pool, number in ((self._pools[k], self._numbers[k]) for k in (True, False))
                if number
            ]
        )
        crops = [self._crop(i, j, random) for i, j in chosen]
        return np.stack(crops), np.array([self._labels[i][j] for i, j in chosen], "int32")

    def on_epoch_end(self):
        self._epoch += 1

    def _crop(self, picture, region, random):
        image = as_pixels(self._images[picture], self._options["channels"])
        size, context, fill = (self._options[name] for name in ("size", "context", "fill"))
        crop = warp_regions(image, self._boxes[picture][[region]], size, context, fill)[0]
        return crop[:, ::-1] if random.random() < 0.5 else crop


def region_batches(
    images,
    truths=None,
    size=(227, 227, 3),
    *,
    proposals=selective_search,
    positives=32,
    negatives=96,
    context=None,
    fill=IMAGENET_MEAN,
    seed=0,
):
    """Warped regions with their classes: what a classifier is tuned on before it serves R-CNN.

    Its classifier then has one class more than there are: 0 is the background, and class `c` of
    the truth is `c + 1`. Positives overlap an object by half or more, all else is background;
    both are drawn uniformly from all pictures, half of them mirrored.

    Args:
        images: a list of pictures, or a data set of batches of (images, truth).
        truths: as many dicts of `boxes` and `classes`; `None` with a data set.
        size: `(height, width, channels)` that the classifier takes.
        proposals: function from a picture to boxes `(n, 4)`, or a list of such boxes.
        positives: regions of objects in a batch.
        negatives: regions of background in a batch.
        context: pixels around a warped region; `None` for 16 of 227, in proportion.
        fill: colour of what lies outside the picture.
        seed: of the draws, which differ from epoch to epoch.

    Returns:
        A `keras.utils.PyDataset` of `(regions, labels)` for `model.fit`; an epoch has about as many
        batches as it takes to draw all positives once.

    Raises:
        ValueError: where there are no regions of objects, or none of background.

    Reference:
        Girshick et al., 2014, section 2.3.

    Example:

    >>> picture = np.full((60, 80, 3), 90, "uint8")
    >>> picture[20:40, 30:70] = (200, 30, 30)
    >>> truth = {"boxes": [[1 / 3, 3 / 8, 2 / 3, 7 / 8]], "classes": [4]}
    >>> regions, labels = region_batches([picture], [truth], (32, 32, 3), positives=1)[0]
    >>> regions.shape, labels[:3].tolist()
    ((97, 32, 32, 3), [5, 0, 0])
    """
    kept, boxes, labels = [], [], []
    for number, (image, truth) in enumerate(pictures(images, truths)):
        found = proposals(image) if callable(proposals) else proposals[number]
        found = np.concatenate([truth["boxes"], as_boxes(found)])
        overlap = overlaps(found, truth["boxes"])
        label = np.zeros(len(found), int)
        best = overlap.max(axis=1, initial=0.0)
        if len(truth["boxes"]):
            near = truth["classes"][overlap.argmax(axis=1)] + 1
            label = np.where(best >= OBJECT, near, 0)
        label[(label == 0) & on_ignored(found, truth["ignored"])] = -1  # neither
        kept.append(as_pixels(image))
        boxes.append(found)
        labels.append(label)
    context = 16 / 227 * min(size[:2]) if context is None else context
    options = {"size": tuple(size[:2]), "channels": size[2], "context": context, "fill": fill}
    return RegionBatches(kept, boxes, labels, options, positives, negatives, seed)
