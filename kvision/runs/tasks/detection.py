"""What a run of a detector tells: its scores, its pictures, its part of the card."""

from string import Template

import numpy as np

from kvision import evaluation, visualize
from kvision.ops import boxes as box_ops
from kvision.runs.tables import escape, percent
from kvision.runs.viewers.boxes import BoxViewer

AGREEMENT = "objects found again"
viewer = BoxViewer
COMPARED = "probabilities (0..1), and of boxes in sides of their anchors"
SHOWN = 0.5  # the score from which on a detection is drawn and counted in the gallery
SCORES = Template("""\
On $images test images the model did not see, with $objects objects to be found:

| measure | boxes$masks_head |
|---|---:|$masks_line
$coco
| VOC AP (area) | $voc_area |$masks_cell
| VOC AP (11 points) | $voc_points |$masks_cell

AP is COCO's mean over IoU 0.50 to 0.95. Small, medium and large mean up to 32x32, up to 96x96 and
more pixels of the original pictures.

| class | objects | AP | AP50 | precision | recall | from score |
|---|---:|---:|---:|---:|---:|---:|
$per_class

Precision and recall are at IoU 0.5, from the score on where their F1 is best.

![AP of each class](figures/per_class_ap.png)

![Precision and recall](figures/precision_recall.png)

![What goes wrong](figures/detection_errors.png)

Some test images, the worst first; detections scored $shown and more:

![Gallery](figures/gallery.png)""")
USAGE = Template("""\
On the command line, in this folder:

```
kvision predict $best photo.jpg --save found.jpg
```

In Python (`predict` does without TensorFlow; the size and pixels of a picture are to be as here):

```python
import kvision as kv
from PIL import Image

model = kv.export.load("$best")
photo = kv.data.read_image("photo.jpg")
image = kv.data.resize_image(photo, model.input_shape)  # ($shape), pixels 0..255
found = model.predict(image[None])
objects = {key: value[0] for key, value in found.items()}
print(objects["boxes"], objects["scores"])  # ymin, xmin, ymax, xmax in 0..1; best first
print([model.labels[i] for i in objects["classes"] if i >= 0])  # -1 is padding
drawn = kv.visualize.draw_boxes(photo, names=model.labels, score_threshold=0.5, **objects)
Image.fromarray(drawn).save("found.png")
```

On Android, with MediaPipe Tasks (labels, normalisation and anchors are inside the file):

```kotlin
val options = ObjectDetector.ObjectDetectorOptions.builder()
    .setBaseOptions(BaseOptions.builder().setModelAssetPath("$best").build())
    .setMaxResults(10)
    .setScoreThreshold(0.5f)
    .build()
val detector = ObjectDetector.createFromOptions(context, options)
val result = detector.detect(BitmapImageBuilder(bitmap).build())
```
""")
_COCO = {
    "AP": "**AP**",
    "AP50": "AP50",
    "AP75": "AP75",
    "AP_small": "AP of small objects",
    "AP_medium": "AP of medium objects",
    "AP_large": "AP of large objects",
    "AR1": "AR, 1 detection an image",
    "AR10": "AR, 10 detections",
    "AR100": "AR, 100 detections",
    "AR_small": "AR of small objects",
    "AR_medium": "AR of medium objects",
    "AR_large": "AR of large objects",
}


def evaluate(model, batches, class_names, each=None):
    """Returns the scores of a model on batches with objects."""
    return evaluation.evaluate_detector(model, batches, class_names, each=each)


def lines(metrics):
    """Returns what `kvision evaluate` prints."""
    told = [f"{metrics['images']:,} images, {metrics['objects']:,} objects"]
    for kind, what in (("coco", ""), ("coco_masks", "mask ")):
        for key, value in metrics.get(kind, {}).items():
            told.append(f"{what + key.replace('_', ' '):<15} {percent(value)}")
    told.append(f"{'VOC AP, area':<15} {percent(metrics['voc']['AP_area'])}")
    told.append(f"{'VOC AP, 11':<15} {percent(metrics['voc']['AP_11_point'])}")
    masks = {"mask_AP": "mask AP"} if "coco_masks" in metrics else {}
    columns = {"objects": "objects", "AP": "AP", "AP50": "AP50", **masks}
    return told, metrics["per_class"], {**columns, "precision": "precision", "recall": "recall"}


def section(metrics):
    """Returns the card's section on how good the model is."""
    masks = metrics.get("coco_masks")
    lines = []
    for key, name in _COCO.items():
        cells = [metrics["coco"][key], *([masks[key]] if masks else [])]
        lines.append(f"| {name} | {' | '.join(map(percent, cells))} |")
    return SCORES.substitute(
        images=f"{metrics['images']:,}",
        objects=f"{metrics['objects']:,}",
        masks_head=" | masks" if masks else "",
        masks_line="---:|" if masks else "",
        masks_cell=" |" if masks else "",
        coco="\n".join(lines),
        voc_area=percent(metrics["voc"]["AP_area"]),
        voc_points=percent(metrics["voc"]["AP_11_point"]),
        per_class="\n".join(map(_class_row, metrics["per_class"])),
        shown=SHOWN,
    )


def _class_row(row):
    shares = " | ".join(percent(row[key]) for key in ("AP", "AP50", "precision", "recall"))
    score = "–" if row["score"] is None else f"{row['score']:.2f}"
    return f"| {escape(row['name'])} | {row['objects']:,} | {shares} | {score} |"


def usage(card, **names):
    """Returns the card's section on how to use its files."""
    return USAGE.substitute(**names)


class Pictures:
    """Keeps the pictures with the largest share of mistakes.

    `kept` holds `(share of right objects and detections, number, picture, truth, prediction)`,
    worst first.
    """

    def __init__(self, most=6):
        self.most, self.kept, self.seen = most, [], 0

    def __call__(self, images, outputs, truth):
        """Takes a batch: images, and dicts of the found and the true objects."""
        for index, image in enumerate(images):
            found, real = (
                {key: np.asarray(value[index]) for key, value in part.items()}
                for part in (outputs, truth)
            )
            picture = np.clip(np.array(image), 0, 255).astype("uint8")
            self.kept.append((share_right(real, found), self.seen, picture, real, found))
            self.seen += 1
        self.kept = sorted(self.kept, key=lambda row: row[:2])[: self.most]

    def figures(self, card):
        """Returns the figures of the card, `{name: Figure}`."""
        names, metrics = card["classes"], card["metrics"]
        _, _, images, truths, predictions = zip(*self.kept, strict=True)
        return {
            "per_class_ap": visualize.per_class_ap(metrics["per_class"]),
            "precision_recall": visualize.precision_recall(metrics["curves"], names),
            "detection_errors": visualize.detection_errors(metrics["errors"]),
            "gallery": visualize.detections(
                images, predictions, truths, names, score_threshold=SHOWN
            ),
        }


def share_right(truth, prediction):
    """Returns the share of a picture's objects and detections that found each other, 0..1.

    Args:
        truth: dict of `boxes` `(n, 4)` and `classes` `(n,)`, -1 where padded.
        prediction: the same with `scores`; those below `SHOWN` do not count.
    """
    objects, found = truth["classes"] >= 0, prediction["scores"] >= SHOWN
    count = objects.sum() + found.sum()
    if not count:
        return 1.0
    overlaps = np.array(box_ops.iou(truth["boxes"][objects], prediction["boxes"][found]))
    same = truth["classes"][objects][:, None] == prediction["classes"][found]
    overlaps = np.where(same, overlaps, 0.0)
    pairs = 0
    while overlaps.size and overlaps.max() >= 0.5:
        row, column = np.unravel_index(overlaps.argmax(), overlaps.shape)
        overlaps[row], overlaps[:, column] = 0.0, 0.0
        pairs += 1
    return float(2 * pairs / count)
