"""R-CNN: regions with CNN features.

Girshick, Donahue, Darrell, Malik: Rich feature hierarchies for accurate object detection and
semantic segmentation, CVPR 2014. From a picture to its objects in four steps, each of them plain:
regions that may hold an object, the features of each, linear classifiers, better boxes.
"""

import keras
import numpy as np

from kvision.classical import rcnn_files
from kvision.classical.box_regression import fit_box_regression, move_boxes
from kvision.classical.described import Described, on_ignored, overlaps
from kvision.classical.mining import MinedSVM
from kvision.classical.pictures import pictures
from kvision.classical.region_features import RegionFeatures
from kvision.classical.selective_search import selective_search
from kvision.classical.warping import IMAGENET_MEAN
from kvision.ops.suppression import suppress_classes

NEGATIVE = 0.3  # overlap with its objects below which a region is a negative of a class
NORM = 20.0  # what the mean length of features is scaled to; C and alpha are meant for it
SAMPLE = 200
CANDIDATES = 1000  # boxes of a picture, over all classes, that go into the suppression


class RCNN:
    """Detects objects by classifying some two thousand regions of a picture one by one.

    The first good detector with a convolutional network, and the slowest: use it to see what the
    later ones improve on, or with a classifier that must not be trained further and few labelled
    boxes. It is fitted as scikit-learn's estimators are; the classifier stays as it is (tune it
    before, on `kv.classical.region_batches`).

    Args:
        classifier: any `keras.Model` from pictures 0..255 to classes, of whatever classes.
        class_names: names of the objects' classes, in order.
        features: layer for telling classes apart; `None` for the one before the predictions, fc7.
        box_features: layer for moving boxes; `None` for the last map, pool5.
        proposals: function from a picture to boxes `(n, 4)`.
        context: pixels around a warped region; `None` for 16 of 227, in proportion.
        fill: colour of what lies outside the picture: the mean that the classifier subtracts.
        move: whether boxes are moved by regression.
        regularization: `C` of the support vector machines.
        positive_weight: how much more an object counts than a negative.
        alpha: of the ridge regression.
        mining_epochs: times that the pictures are searched for hard negatives.
        iou_threshold: overlap from which the lower of two boxes of a class is dropped.
        score_threshold: least score of a detection.
        most: number of detections in a picture.
        batch_size: regions that pass the network at a time.
        seed: of the solvers.

    Attributes:
        svm_weights_: `(length, classes)`; svm_biases_: `(classes,)`.
        box_weights_: `(classes, length, 4)`; box_biases_: `(classes, 4)`.
        scales_: factors of the two features.

    Raises:
        ValueError: for a classifier without such layers, or without class names.

    Differs from the paper: scores are the margins of the support vector machines through a
    sigmoid, which keeps their order. Difficult objects and crowds are neither positives nor
    negatives.

    Reference:
        Girshick et al., 2014, and appendices A to C; the constants are those of the authors' code.

    Example:

    >>> import kvision as kv
    >>> random = np.random.default_rng(0)
    >>> images = random.integers(0, 60, (4, 48, 48, 3), "uint8")
    >>> images[:, 12:36, 8:40] = (250, 200, 0)
    >>> truths = [{"boxes": [[0.25, 1 / 6, 0.75, 5 / 6]], "classes": [0]}] * 4
    >>> network = kv.models.LeNet5(variant="modern", input_shape=(32, 32, 3))
    >>> detector = RCNN(network, ["plate"]).fit(images, truths, verbose=0)
    >>> found = detector.predict(images, verbose=0)
    >>> found["boxes"].shape, found["classes"][:, 0].tolist()
    ((4, 100, 4), [0, 0, 0, 0])
    """

    def __init__(
        self,
        classifier,
        class_names,
        *,
        features=None,
        box_features=None,
        proposals=selective_search,
        context=None,
        fill=IMAGENET_MEAN,
        move=True,
        regularization=1e-3,
        positive_weight=2.0,
        alpha=1000.0,
        mining_epochs=1,
        iou_threshold=0.3,
        score_threshold=0.05,
        most=100,
        batch_size=64,
        seed=0,
    ):
        self.class_names = [str(name) for name in class_names]
        if not self.class_names or isinstance(class_names, str):
            raise ValueError(
                f"`class_names` must be a list of at least one name. Received: {class_names!r}"
            )
        self.classifier = classifier
        self.proposals = proposals
        self.regions = RegionFeatures(classifier, features, box_features, context, fill, batch_size)
        self.move = move
        self.regularization = regularization
        self.positive_weight = positive_weight
        self.alpha = alpha
        self.mining_epochs = mining_epochs
        self.iou_threshold = iou_threshold
        self.score_threshold = score_threshold
        self.most = most
        self.seed = seed

    def fit(self, images, truths=None, proposals=None, cache=None, verbose=1):
        """Learns from pictures: `describe`, `fit_classifiers` and, with `move`, `fit_boxes`.

        Args:
            images: a list of pictures, pixels 0..255, of any sizes; or a data set of batches of
                (images, truth), as `kv.data.batches(..., target="objects")` gives it.
            truths: a dict of `boxes` (n, 4) and `classes` (n,) for each picture, perhaps with
                `crowd` and `difficult`; `None` with a data set.
            proposals: boxes `(n, 4)` for each picture, instead of those of the function.
            cache: folder for the features, to go on after an interruption and to keep them out of
                memory (4,000 numbers a region with AlexNet).
            verbose: 0 for silence.

        Returns:
            Itself.

        Raises:
            ValueError: where there is no picture or no object, or a class has no name.
        """
        described = self.describe(images, truths, proposals, cache, verbose)
        self.fit_classifiers(described, verbose)
        return self.fit_boxes(described) if self.move else self

    def describe(self, images, truths=None, proposals=None, cache=None, verbose=1):
        """Computes the features of all regions. Arguments are those of `fit`.

        Returns:
            A sequence with one dict of arrays a picture.
        """
        described = Described(self.regions, self.proposals, cache)
        number = len(images) if truths is not None else None
        bar = keras.utils.Progbar(number, verbose=verbose, unit_name="picture")
        objects = 0
        for index, (image, truth) in enumerate(pictures(images, truths)):
            self._check_classes(truth["classes"])
            described.add(image, truth, None if proposals is None else proposals[index])
            objects += len(truth["classes"])
            bar.update(index + 1)
        if not objects:
            raise ValueError(
                "The pictures must show at least one object. "
                f"Received: {len(described)} pictures without"
            )
        return described

    def fit_classifiers(self, described, verbose=1):
        """Trains a linear support vector machine for each class, on what `describe` returned."""
        self.scales_ = tuple(_scale(described, key) for key in ("features", "near_features"))
        positives = [[] for _ in self.class_names]
        for record in described:
            features = record["features"][: len(record["truth_boxes"])]
            for kind, feature in zip(record["truth_classes"], features, strict=True):
                positives[kind].append(feature * self.scales_[0])
        length = self.regions.lengths[0]
        machines = [
            MinedSVM(
                np.reshape(found, (-1, length)),
                self.regularization,
                self.positive_weight,
                seed=self.seed,
            )
            for found in positives
        ]
        bar = keras.utils.Progbar(
            self.mining_epochs * len(described), verbose=verbose, unit_name="picture"
        )
        for _ in range(self.mining_epochs):
            for index, record in enumerate(described):
                features = record["features"] * self.scales_[0]
                for machine, there in zip(machines, self._negatives(record), strict=True):
                    machine.see(features[there], index)
                bar.add(1)
        for machine in machines:
            machine.finish()
        self.svm_weights_ = np.stack([machine.weights for machine in machines], axis=1)
        self.svm_biases_ = np.array([machine.bias for machine in machines], "float32")
        self.box_weights_ = self.box_biases_ = None
        return self

    def fit_boxes(self, described):
        """Learns for each class how its boxes should move, on what `describe` returned."""
        self._check_fitted()
        names = ("boxes", "near", "near_features", "truth_boxes", "truth_classes")
        lengths = (self.regions.lengths[1], 4, 4)
        parts = [[tuple(np.zeros((0, n)) for n in lengths)] for _ in self.class_names]
        for record in described.only(*names):
            if not len(record["near"]):
                continue
            boxes = record["boxes"][record["near"]]
            nearest = overlaps(boxes, record["truth_boxes"]).argmax(axis=1)
            arrays = (
                record["near_features"] * self.scales_[1],
                boxes,
                record["truth_boxes"][nearest],
            )
            kinds = record["truth_classes"][nearest]
            for kind in set(kinds.tolist()):
                parts[kind].append(tuple(array[kinds == kind] for array in arrays))
        learned = [
            fit_box_regression(
                *(np.concatenate(column) for column in zip(*part, strict=True)), alpha=self.alpha
            )
            for part in parts
        ]
        weights, biases = zip(*learned, strict=True)
        self.box_weights_, self.box_biases_ = np.stack(weights), np.stack(biases)
        return self

    def predict(self, images, batch_size=None, proposals=None, verbose=0):
        """Finds the objects in pictures.

        Args:
            images: a list or an array of pictures, pixels 0..255.
            batch_size: of no effect, as one picture alone is already a batch of regions.
            proposals: boxes `(n, 4)` for each picture, instead of those of the function.
            verbose: 1 for a progress bar.

        Returns:
            A dict of arrays, by falling score and padded with class -1: `boxes` (pictures, most,
            4), `classes` (pictures, most), `scores` (pictures, most) in 0..1.

        Raises:
            ValueError: before `fit`.
        """
        self._check_fitted()
        images = np.asarray(images) if hasattr(images, "shape") else images
        found = {
            "boxes": np.zeros((len(images), self.most, 4), "float32"),
            "classes": np.full((len(images), self.most), -1, "int32"),
            "scores": np.zeros((len(images), self.most), "float32"),
        }
        bar = keras.utils.Progbar(len(images), verbose=verbose, unit_name="picture")
        for index, image in enumerate(images):
            boxes = self.proposals(image) if proposals is None else proposals[index]
            for name, values in self._detect(image, boxes).items():
                found[name][index] = values
            bar.update(index + 1)
        return found

    def scores(self, features):
        """Scores in 0..1 of regions for each class, from their features as they come."""
        self._check_fitted()
        margins = features * self.scales_[0] @ self.svm_weights_ + self.svm_biases_
        return (1 / (1 + np.exp(-np.clip(margins, -60, 60)))).astype("float32")

    def save(self, folder):
        """Writes what was learned, and the classifier, to a folder; nothing is pickled.

        Raises:
            ValueError: before `fit`.
        """
        self._check_fitted()
        rcnn_files.save(self, folder)

    @classmethod
    def load(cls, folder, classifier=None, **options):
        """Reads what `save` wrote.

        Args:
            folder: where it lies.
            classifier: the one it was fitted with; `None` for the one in the folder.
            **options: other than those saved, such as `proposals`, if that is not
                `selective_search`, and `score_threshold`.

        Raises:
            ValueError: where the folder holds no R-CNN, or the classifier is another.
        """
        return rcnn_files.load(cls, folder, classifier, options)

    def _detect(self, image, boxes):
        """The detections in one picture, padded."""
        features, maps = self.regions(image, boxes)
        boxes = np.asarray(boxes, "float32").reshape(-1, 4)
        scores = self.scores(features)
        kept = scores.max(axis=1, initial=0.0) >= self.score_threshold
        if not kept.any():
            return {"boxes": 0.0, "classes": -1, "scores": 0.0}
        boxes, scores = boxes[kept], scores[kept]
        if self.box_weights_ is not None:
            moved = move_boxes(
                boxes, maps[kept] * self.scales_[1], self.box_weights_, self.box_biases_
            )
            boxes = moved.transpose(1, 0, 2)
        limits = (self.iou_threshold, self.score_threshold, self.most, CANDIDATES)
        result = suppress_classes(boxes[None], scores[None], *limits)
        parts = (keras.ops.convert_to_numpy(part)[0] for part in result)
        return dict(zip(("boxes", "classes", "scores"), parts, strict=True))

    def _negatives(self, record):
        """Which regions are negatives of each class, `(classes, n)`."""
        clear = ~on_ignored(record["boxes"], record["ignored"])
        overlap = overlaps(record["boxes"], record["truth_boxes"])
        return [
            clear & (overlap[:, record["truth_classes"] == kind].max(axis=1, initial=0) < NEGATIVE)
            for kind in range(len(self.class_names))
        ]

    def _check_classes(self, classes):
        if len(classes) and max(classes) >= len(self.class_names):
            raise ValueError(
                f"Classes must be below {len(self.class_names)}, the number of `class_names`. "
                f"Received: {max(classes)}"
            )

    def _check_fitted(self):
        if not hasattr(self, "svm_weights_"):
            raise ValueError("This R-CNN has not been fitted. Call `fit`, or `RCNN.load` one.")


def _scale(described, key):
    """What makes the mean length of features 20, estimated from up to 200 pictures."""
    total = number = 0
    for record in described.only(key, every=max(1, len(described) // SAMPLE)):
        total += np.linalg.norm(record[key], axis=1).sum()
        number += len(record[key])
    return float(NORM * number / total) if total else 1.0
