"""What a run of a segmenter tells: its scores, its pictures, its part of the card."""

from string import Template

import numpy as np

from kvision import evaluation, visualize
from kvision.ops.masks import VOID, centre_crop
from kvision.runs.tables import escape, percent
from kvision.runs.tasks import classification
from kvision.runs.viewers.masks import MaskViewer

AGREEMENT = "same top class"
viewer = MaskViewer
labels = classification.labels  # one score a pixel is that of the second class
COMPARED = "probabilities (0..1)"
SCORES = Template("""\
On $images test images the model did not see, $pixels pixels without the void ones:

| measure | value |
|---|---|
| mean IoU | **$mean_iou** |
| pixel accuracy | $pixel_accuracy |
| mean accuracy of the classes | $mean_accuracy |
| frequency-weighted IoU | $frequency_weighted_iou |
| boundary F1 | $boundary_f1 |

| class | pixels | IoU | recall | precision |
|---|---:|---:|---:|---:|
$per_class

![IoU of each class](figures/per_class_iou.png)

![Confusion matrix](figures/confusion_matrix.png)

Some test images, the worst first:

![Gallery](figures/gallery.png)""")
USAGE = Template("""\
On the command line, in this folder:

```
kvision predict $best photo.jpg --save overlay.png
```

In Python, without TensorFlow:

```python
import kvision as kv

model = kv.export.load("$best")
scores = model.predict(images)  # (n, $shape), pixels 0..255
classes = scores.argmax(-1)  # the number of each pixel's class
print(model.labels)
```

On Android, with MediaPipe Tasks (the labels and the normalisation are inside the file):

```kotlin
val options = ImageSegmenter.ImageSegmenterOptions.builder()
    .setBaseOptions(BaseOptions.builder().setModelAssetPath("$best").build())
    .setOutputCategoryMask(true)
    .build()
val segmenter = ImageSegmenter.createFromOptions(context, options)
val result = segmenter.segment(BitmapImageBuilder(bitmap).build())
val mask = result.categoryMask().get()  // one byte a pixel; segmenter.labels names them
```
""")
_MEASURES = (
    "mean_iou",
    "pixel_accuracy",
    "mean_accuracy",
    "frequency_weighted_iou",
    "boundary_f1",
)


def evaluate(model, batches, class_names, each=None):
    """Returns the scores of a model on batches with masks."""
    # A network that does not pad answers for the middle of the picture.
    return evaluation.evaluate_segmenter(model, batches, class_names, crop_truth=True, each=each)


def lines(metrics):
    """Returns what `kvision evaluate` prints."""
    told = [f"{metrics['images']:,} images, {metrics['pixels']:,} pixels"]
    told += [f"{key.replace('_', ' '):<23} {metrics[key]:.2%}" for key in _MEASURES[:-1]]
    told.append(f"{'boundary F1':<23} {percent(metrics['boundary_f1'])}")
    columns = {"pixels": "pixels", "iou": "IoU", "accuracy": "recall", "precision": "precision"}
    return told, metrics["per_class"], columns


def section(metrics):
    """Returns the card's section on how good the model is."""
    return SCORES.substitute(
        images=f"{metrics['images']:,}",
        pixels=f"{metrics['pixels']:,}",
        per_class="\n".join(map(_class_row, metrics["per_class"])),
        **{key: percent(metrics[key]) for key in _MEASURES},
    )


def _class_row(row):
    shares = " | ".join(percent(row[key]) for key in ("iou", "accuracy", "precision"))
    return f"| {escape(row['name'])} | {row['pixels']:,} | {shares} |"


def usage(card, **names):
    """Returns the card's section on how to use its files."""
    return USAGE.substitute(**names)


class Pictures:
    """Keeps the pictures with the most wrong pixels.

    `kept` holds `(share of right pixels, number, picture, mask, predicted mask)`, worst first.
    """

    def __init__(self, most=6):
        self.most, self.kept, self.seen = most, [], 0

    def __call__(self, images, outputs, truth):
        """Takes a batch: images, and the found and true classes of pixels."""
        for image, guess, mask in zip(images, outputs, truth, strict=True):
            known = mask != VOID
            right = (guess == mask)[known].mean() if known.any() else 1.0
            picture = centre_crop(np.array(image), guess.shape)
            self.kept.append((float(right), self.seen, picture, mask, guess))
            self.seen += 1
        self.kept = sorted(self.kept, key=lambda row: row[:2])[: self.most]

    def figures(self, card):
        """Returns the figures of the card, `{name: Figure}`."""
        names = card["classes"]
        _, _, images, masks, guesses = zip(*self.kept, strict=True)
        return {
            "confusion_matrix": visualize.confusion_matrix(card["metrics"]["confusion"], names),
            "per_class_iou": visualize.per_class_iou(card["metrics"]["per_class"]),
            "gallery": visualize.segmentations(images, masks, guesses, names),
        }
