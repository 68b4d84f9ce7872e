"""What a run of a network of edges tells: its scores, its pictures, its part of the card."""

from string import Template

import numpy as np

from kvision import evaluation, visualize
from kvision.runs.viewers.edges import EdgeViewer

AGREEMENT = "same pixels are edges"
COMPARED = "probabilities (0..1)"
SCORES = Template("""\
On $images test images the model did not see:

| measure | value |
|---|---|
| ODS: F1 at the best threshold for all | **$ods** |
| OIS: F1 at the best threshold of each image | $ois |
| average precision | $average_precision |

At the threshold $ods_threshold, of the edges that it finds $ods_precision are drawn ones, and of
the drawn ones it finds $ods_recall. Edges are thinned to one pixel and matched within $tolerance of
the diagonal. Where several people drew an image, what more than half of them drew is to be found,
and what fewer drew counts neither way.

![Precision and recall](figures/precision_recall.png)

Some test images, the worst first:

![Gallery](figures/gallery.png)""")
USAGE = Template("""\
On the command line, in this folder:

```
kvision predict $best photo.jpg --save edges.png
```

In Python, without TensorFlow:

```python
import kvision as kv

model = kv.export.load("$best")
edges = model.predict(images)  # (n, $shape), pixels 0..255
edges = edges["fuse"] if isinstance(edges, dict) else edges
print(edges.shape, edges.max())  # how sure it is of an edge at every pixel, 0..1
```

An app runs the file with LiteRT: pixels 0..255 as floats in, a map of 0..1 out.
""")
_SHARES = ("ods", "ois", "average_precision", "ods_precision", "ods_recall")


def evaluate(model, batches, class_names, each=None):
    """Returns the scores of a model on batches with drawn edges."""
    return evaluation.evaluate_edges(model, batches, each=each)


def lines(metrics):
    """Returns what `kvision evaluate` prints; there are no classes."""
    told = [f"{metrics['images']:,} images"]
    told += [f"{name:<18} {metrics[key]:.2%}" for name, key in (("ODS", "ods"), ("OIS", "ois"))]
    told.append(f"{'average precision':<18} {metrics['average_precision']:.2%}")
    told.append(f"{'best threshold':<18} {metrics['ods_threshold']:.2f}")
    return told, [], {}


def section(metrics):
    """Returns the card's section on how good the model is."""
    return SCORES.substitute(
        images=f"{metrics['images']:,}",
        ods_threshold=f"{metrics['ods_threshold']:.2f}",
        tolerance=f"{metrics['tolerance']:.2%}",
        **{key: f"{metrics[key]:.2%}" for key in _SHARES},
    )


def usage(card, **names):
    """Returns the card's section on how to use its files."""
    return USAGE.substitute(**names)


def viewer(loaded, resize, top):
    """Returns what draws the edges of photos; there are no classes to name the `top` of."""
    return EdgeViewer(loaded, resize)


class Pictures:
    """Keeps the pictures whose edges are furthest from the drawn ones.

    `kept` holds `(mean distance of sureness from truth, number, picture, truth, edges)`, worst
    first.
    """

    def __init__(self, most=6):
        self.most, self.kept, self.seen = most, [], 0

    def __call__(self, images, outputs, truth):
        """Takes a picture, its edges `(height, width)` and the masks that were drawn."""
        share = np.mean(np.stack(truth) == 1, 0)
        distance = float(np.abs(outputs - share).mean())
        self.kept.append((-distance, self.seen, np.array(images), share, outputs))
        self.seen += 1
        self.kept = sorted(self.kept, key=lambda row: row[:2])[: self.most]

    def figures(self, card):
        """Returns the figures of the card, `{name: Figure}`."""
        _, _, images, truths, edges = zip(*self.kept, strict=True)
        figures = {"gallery": visualize.edges(images, truths, edges)}
        if card["metrics"]["ods"]:
            figures["precision_recall"] = visualize.edge_curve(card["metrics"])
        return figures
