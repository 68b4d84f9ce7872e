"""A classifier's release: its scores, its pictures, its part of the card."""

from string import Template

import numpy as np

from kvision import evaluation, visualize
from kvision.ops.scores import are_right, true_classes
from kvision.runs.tables import escape, percent

TASK = "classification"
METRIC = "accuracy"
AGREEMENT = "same top class"
COMPARED = "probabilities (0..1)"
SCORES = Template("""\
On $samples test images the model did not see:

| measure | value |
|---|---|
| $what | **$accuracy** (95 % interval $low to $high) |
$others| log loss | $log_loss |

$matrix| class | images | precision | recall | F1 |
|---|---:|---:|---:|---:|
$per_class

Some predictions, mistakes first:

![Predictions](figures/predictions.png)""")
MATRIX = "![Confusion matrix](figures/confusion_matrix.png)\n\n"
USAGE = Template("""\
On the command line, in this folder:

```
kvision predict $best photo.jpg
```

In Python, without TensorFlow:

```python
import kvision as kv

model = kv.export.load("$best")
scores = model.predict(images)  # (n, $shape), pixels 0..255
$answer
```

On Android, with MediaPipe Tasks (the labels and the normalisation are inside the file):

```kotlin
val options = ImageClassifier.ImageClassifierOptions.builder()
    .setBaseOptions(BaseOptions.builder().setModelAssetPath("$best").build())
    .setMaxResults(3)
    .build()
val classifier = ImageClassifier.createFromOptions(context, options)
val result = classifier.classify(BitmapImageBuilder(bitmap).build())
```
""")


def scores(metrics):
    """The card's section on how good the model is."""
    low, high = metrics["accuracy_interval"]
    if metrics["confusion"] is None:
        what, other = "all labels of an image right", "single labels right"
        share, matrix = metrics["label_accuracy"], ""
    else:
        what, other = "top-1 accuracy", f"top-{metrics['top_k']} accuracy"
        share, matrix = metrics["top_k_accuracy"], MATRIX
    return SCORES.substitute(
        what=what,
        others=f"| {other} | {share:.2%} |\n",
        matrix=matrix,
        samples=f"{metrics['samples']:,}",
        accuracy=f"{metrics['accuracy']:.2%}",
        low=f"{low:.2%}",
        high=f"{high:.2%}",
        log_loss=f"{metrics['log_loss']:.4f}",
        per_class="\n".join(map(_class_row, metrics["per_class"])),
    )


def usage(card, **names):
    """The card's section on how to use its files."""
    half = 0 if card["metrics"]["scores"] == "logits" else 0.5
    answer = "print(model.labels[scores[0].argmax()])"
    if card["metrics"]["confusion"] is None:
        answer = f"print([name for name, score in zip(model.labels, scores[0]) if score > {half}])"
    elif card["architecture"]["outputs"] == 1:
        answer = f"print(model.labels[-1], scores[0, 0] > {half})"
    return USAGE.substitute(answer=answer, **names)


def _class_row(row):
    shares = " | ".join(percent(row[key]) for key in ("precision", "recall", "f1"))
    return f"| {escape(row['name'])} | {row['samples']:,} | {shares} |"


class Sample:
    """Model and test data in one, which keeps some pictures of the pass that scores the model.

    `mistakes` and `hits` hold `(picture, scores, label)`, the first of each kind.
    """

    def __init__(self, model, dataset, most_mistakes=12, most_hits=18):
        self.model, self.dataset = model, dataset
        self.most = {False: most_mistakes, True: most_hits}
        self.mistakes, self.hits = [], []

    def evaluate(self, class_names):
        """The metrics of the model on the test data."""
        return evaluation.evaluate_classifier(self, self, class_names)

    def __iter__(self):
        for images, labels in self.dataset:
            self.labels = np.asarray(labels)  # of the batch that is scored next
            yield images, labels

    def predict(self, images, batch_size=None):
        scores = np.asarray(self.model.predict(images, batch_size=batch_size, verbose=0))
        truth = true_classes(self.labels, *scores.shape)
        right = are_right(scores, truth)
        for kind, kept in ((False, self.mistakes), (True, self.hits)):
            for index in np.flatnonzero(right == kind)[: self.most[kind] - len(kept)]:
                kept.append((np.array(images[index]), scores[index], truth[index]))
        return scores

    def figures(self, card, pictures=18):
        """The figures of the card, `{name: Figure}`; the predictions show mistakes first."""
        names = card["classes"]
        images, scores, labels = zip(*(self.mistakes + self.hits)[:pictures], strict=True)
        figures = {"predictions": visualize.predictions(images, scores, names, labels)}
        confusion = card["metrics"]["confusion"]
        if confusion is not None:
            figures["confusion_matrix"] = visualize.confusion_matrix(confusion, names)
        return figures
