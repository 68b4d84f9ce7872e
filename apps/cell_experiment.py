"""U-Net on its own data, slices of nerve tissue under the electron microscope, beside Otsu.

Paper:    Ronneberger, Fischer, Brox, U-Net, 2015, section 4
Command:  python apps/cell_experiment.py isbi_em/      (--smoke: the same in a minute)
Hardware: two CPU cores
Data:     ISBI 2012: a folder with images/ and masks/, where 255 is cell and 0 is membrane: 15 of
          its slices to train on, the rest to test on
Leaves:   saved_models/cells/: the run, scores.json and cells.png

The network is a padded U-Net of a quarter of the paper's width, trained by apps/train_segmenter.py
with the paper's elastic deformations and border weights. Otsu's threshold divides the grey levels
of a slice where the two sides differ most. A killed run goes on when it is started again.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

import kvision as kv
from kvision.quiet import quietly

APP = Path(__file__).with_name("train_segmenter.py")

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
add = parser.add_argument
add("data", help="the folder with images/ and masks/")
add("--run", type=Path, default="saved_models/cells", help="the folder it leaves")
add("--size", type=int, default=512, help="side of the slices in pixels (default 512)")
add("--slices", type=int, default=15, help="to train on (default 15)")
add("--epochs", type=int, default=60)
add("--smoke", action="store_true", help="one epoch of small slices")
args = parser.parse_args()
if args.smoke:
    args.size, args.epochs = 64, 1

# Training. The best epoch is chosen by the training slices themselves: nothing by the test slices.
splits = dict.fromkeys(("train", "validation"), f"train[:{args.slices}]")
splits["test"] = f"train[{args.slices}:]"
if not (args.run / "card.json").is_file():
    command = [sys.executable, APP, args.data, "--run", args.run, "--size", args.size]
    command += ["--channels", 1, "--model", "UNet", "--backbone", "none", "--epochs", args.epochs]
    command += ["--batch-size", 2, "--augment", "elastic", "--border-weights"]
    for option in ("padding=same", "filters=16", "batch_norm=True"):
        command += ["--option", option]
    for use, split in splits.items():
        command += ["--split", f"{use}={split}"]
    status = subprocess.run(list(map(str, command)), check=False).returncode
    if not (args.run / "card.json").is_file():
        sys.exit(status or 1)


def otsu(image):
    """1 where a picture is brighter than Otsu's threshold (1979): cell, in these slices."""
    counts = np.bincount(image.ravel(), minlength=256).astype(float)
    below = np.cumsum(counts)
    means = np.cumsum(counts * np.arange(256))
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (means / below - (means[-1] - means) / above) ** 2
    return (image > np.nanargmax(between)).astype(int)


# Scores
with quietly():  # TensorFlow starts
    examples = kv.data.load(args.data, splits["test"])
batch = kv.data.batches(examples, (args.size, args.size, 1), 1, target="segmentation_mask")
images, truths = (np.concatenate(part) for part in zip(*batch.as_numpy_iterator(), strict=True))
truths = truths[..., 0]
model = kv.export.load(args.run)
found = {
    "U-Net": model.predict(images, batch_size=1).argmax(-1),
    "Otsu": np.stack([otsu(image[..., 0].astype(int)) for image in images]),
}
scores = {}
for name, masks in found.items():
    confusion = np.zeros((2, 2), int)
    np.add.at(confusion, (truths, masks), 1)
    result = kv.evaluation.segmentation_scores(confusion, model.labels)
    rand = [kv.evaluation.foreground_rand_score(t, m) for t, m in zip(truths, masks, strict=True)]
    scores[name] = {
        "pixel_accuracy": result["pixel_accuracy"],
        "mean_iou": result["mean_iou"],
        "membrane_iou": result["per_class"][0]["iou"],
        "foreground_rand": float(np.mean(rand)),
    }
with open(args.run / "history.csv", newline="", encoding="utf-8") as file:
    minutes = sum(float(epoch["seconds"]) for epoch in csv.DictReader(file)) / 60
(args.run / "scores.json").write_text(
    json.dumps({**scores, "minutes": minutes, "slices": len(images)}, indent=1) + "\n",
    encoding="utf-8",
)
columns = {"truth": truths[:2], **{name: masks[:2] for name, masks in found.items()}}
colors = [(20, 20, 20), (235, 235, 235)]
figure = kv.visualize.compared_segmentations(images[:2], columns, model.labels, colors)
figure.savefig(args.run / "cells.png")
for name, row in scores.items():
    print(f"{name}: " + ", ".join(f"{key} {100 * value:.2f} %" for key, value in row.items()))
print(f"Trained in {minutes:.1f} minutes. Wrote {args.run}/scores.json and cells.png")
