"""What a run of a classifier tells: its scores, its pictures, its part of the card."""

from string import Template

import numpy as np

from kvision import evaluation, visualize
from kvision.ops.scores import are_right
from kvision.runs.tables import escape, percent
from kvision.runs.viewers.classes import ClassViewer
from kvision.runs.viewers.heat_maps import HeatMapViewer

AGREEMENT = "same top class"
viewer = ClassViewer
heat_maps = HeatMapViewer
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


def evaluate(model, batches, class_names, each=None):
    """Returns the scores of a model on labelled batches."""
    return evaluation.evaluate_classifier(model, batches, class_names, each=each)


def lines(metrics):
    """Returns what `kvision evaluate` prints."""
    low, high = metrics["accuracy_interval"]
    accuracy = f"{metrics['accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%})"
    if metrics["confusion"] is None:
        told = [
            f"all labels right {accuracy}",
            f"each label right {metrics['label_accuracy']:.2%}",
        ]
    else:
        told = [
            f"top-1 accuracy {accuracy}",
            f"top-{metrics['top_k']} accuracy {metrics['top_k_accuracy']:.2%}",
        ]
    took = ", of the probabilities that its logits mean" * (metrics["scores"] == "logits")
    told = [
        f"{metrics['samples']:,} images",
        *told,
        f"log loss       {metrics['log_loss']:.4f}{took}",
    ]
    columns = {"samples": "images", "precision": "precision", "recall": "recall", "f1": "F1"}
    return told, metrics["per_class"], columns


def section(metrics):
    """Returns the card's section on how good the model is."""
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
    """Returns the card's section on how to use its files."""
    half = 0 if card["metrics"]["scores"] == "logits" else 0.5
    answer = "print(model.labels[scores[0].argmax()])"
    if card["metrics"]["confusion"] is None:
        answer = f"print([name for name, score in zip(model.labels, scores[0]) if score > {half}])"
    elif card["architecture"]["outputs"] == [1]:
        answer = f"print(model.labels[-1], scores[0, 0] > {half})"
    return USAGE.substitute(answer=answer, **names)


def _class_row(row):
    shares = " | ".join(percent(row[key]) for key in ("precision", "recall", "f1"))
    return f"| {escape(row['name'])} | {row['samples']:,} | {shares} |"


def labels(model, class_names):
    """Returns the class names; of two where the model has one score that of the second."""
    one = model.output_shape[-1] == 1 and len(class_names) == 2
    return list(class_names[one:]) or None


class Pictures:
    """Keeps some pictures of the pass that scores the model.

    `mistakes` and `hits` hold `(picture, scores, label)`, the first of each kind.
    """

    def __init__(self, most_mistakes=12, most_hits=18):
        self.most = {False: most_mistakes, True: most_hits}
        self.mistakes, self.hits = [], []

    def __call__(self, images, outputs, truth):
        """Takes a batch: images, scores `(n, classes)` and true classes."""
        right = are_right(outputs, truth)
        for kind, kept in ((False, self.mistakes), (True, self.hits)):
            for index in np.flatnonzero(right == kind)[: self.most[kind] - len(kept)]:
                kept.append((np.array(images[index]), outputs[index], truth[index]))

    def figures(self, card, pictures=18):
        """Returns the figures of the card, `{name: Figure}`; mistakes are shown first."""
        names = card["classes"]
        images, scores, labels = zip(*(self.mistakes + self.hits)[:pictures], strict=True)
        figures = {"predictions": visualize.predictions(images, scores, names, labels)}
        confusion = card["metrics"]["confusion"]
        if confusion is not None:
            figures["confusion_matrix"] = visualize.confusion_matrix(confusion, names)
        return figures
