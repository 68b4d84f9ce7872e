"""A linear support vector machine that looks for its own mistakes in millions of negatives."""

import numpy as np

C = 1e-3
POSITIVE_WEIGHT = 2.0
BIAS = 10.0  # what the feature that stands for the bias is: regularises the bias less
HARD = -1.0001  # score from which a negative is a mistake, or lies within the margin
EASY = -1.2  # score up to which it is forgotten


class MinedSVM:
    """One class against all else, with hard negative mining.

    It is shown the negatives of one picture after the other, and keeps only those that its present
    self finds hard; it is trained anew whenever enough have come together, and forgets those that
    have become easy. So it needs memory for few, and learns what it would learn from all.

    Args:
        positives: array `(n, length)` of the features of true objects; may be empty, and then
            nothing is ever found.
        regularization: `C` of the machine.
        positive_weight: how much more a positive counts than a negative.
        patience: number of new negatives after which it is trained anew.
        seed: of the solver.

    Attributes:
        weights: `(length,)`; bias: number. A region's score is `features @ weights + bias`.
        trainings: how often it was trained.

    Reference:
        Girshick et al., 2014, section 2.3 and appendix B; Felzenszwalb et al.: Object detection
        with discriminatively trained part-based models, 2010.

    Example:

    >>> random = np.random.default_rng(0)
    >>> machine = MinedSVM(random.normal(2, 1, (20, 8)), regularization=1.0)
    >>> for picture in range(5):
    ...     machine.see(random.normal(-2, 1, (100, 8)), picture)
    >>> machine.finish()
    >>> machine.score(np.array([[2.0] * 8, [-2.0] * 8])).round() > 0
    array([ True, False])
    """

    def __init__(
        self, positives, regularization=C, positive_weight=POSITIVE_WEIGHT, patience=2000, seed=0
    ):
        self.positives = np.asarray(positives, "float32")
        if self.positives.ndim != 2:
            raise ValueError(
                f"`positives` must be an array (n, length). Received shape: {self.positives.shape}"
            )
        self.regularization = regularization
        self.positive_weight = positive_weight
        self.patience = patience
        self.seed = seed
        self.weights = np.zeros(self.positives.shape[1], "float32")
        self.bias = -np.inf
        self.trainings = 0
        self._new = 0
        self._negatives = np.zeros((0, self.positives.shape[1]), "float32")
        self._origins = np.zeros((0, 2), "int64")  # picture and row

    def see(self, negatives, picture):
        """Takes what is hard among the negatives of a picture.

        Args:
            negatives: array `(n, length)`; of one picture always in the same order.
            picture: its number, so that none is taken twice when it is seen again.
        """
        if not len(self.positives) or not len(negatives):
            return
        hard = self.score(negatives) > HARD if self.trainings else np.ones(len(negatives), bool)
        hard[self._origins[self._origins[:, 0] == picture, 1]] = False
        rows = np.flatnonzero(hard)
        self._negatives = np.concatenate([self._negatives, negatives[rows]])
        origins = np.stack([np.full(len(rows), picture), rows], axis=1)
        self._origins = np.concatenate([self._origins, origins])
        self._new += len(rows)
        if not self.trainings or self._new > self.patience:
            self._train()

    def finish(self):
        """Trains on what came last.

        Raises:
            ValueError: where no negative was ever seen.
        """
        if len(self.positives) and not self.trainings:
            raise ValueError(
                "A machine needs negatives as well as positives, and was shown none. Add pictures "
                "with regions that are no object."
            )
        if self._new:
            self._train()

    def score(self, features):
        """Signed distances in margins, `(n,)`."""
        return features @ self.weights + self.bias

    def _train(self):
        from sklearn.svm import LinearSVC

        machine = LinearSVC(
            loss="hinge",
            C=self.regularization,
            class_weight={1: self.positive_weight},
            intercept_scaling=BIAS,
            max_iter=20_000,
            random_state=self.seed,
        )
        labels = np.repeat([1, 0], [len(self.positives), len(self._negatives)])
        machine.fit(np.concatenate([self.positives, self._negatives]), labels)
        self.weights = machine.coef_[0].astype("float32")
        self.bias = float(machine.intercept_[0])
        self.trainings += 1
        self._new = 0
        kept = self.score(self._negatives) >= EASY
        self._negatives, self._origins = self._negatives[kept], self._origins[kept]
