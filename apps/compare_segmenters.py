"""Five segmenters on the same synthetic scenes with the same budget: which finds what?

Papers:   Long et al., FCN, 2015; Badrinarayanan et al., SegNet, 2015; Ronneberger et al., U-Net,
          2015; Chen et al., DeepLabv3+, 2018
Command:  python apps/compare_segmenters.py       (--smoke: the same in a minute or two)
Hardware: two CPU cores
Data:     the "scenes" of kvision (nothing is downloaded): 1,000 to train, 200 to test on
Leaves:   saved_models/comparison/: a run of each network, table.md and gallery.png

Each network sees the same pictures in the same order as often, with the same optimiser; its width
is chosen so that it costs about as many multiply-adds as the others. A killed run goes on when the
same command is started again.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

import kvision as kv
from kvision.quiet import quietly

NETWORKS = {
    "FCN-8s (VGG16, quarter width)": ["--model", "FCN8s", "--backbone", "VGG16"]
    + ["--backbone-option", "alpha=0.25"],
    "SegNet (quarter width)": ["--model", "SegNet", "--option", "alpha=0.25"],
    "U-Net (from scratch)": ["--model", "UNet", "--backbone", "none", "--option", "padding=same"]
    + ["--option", "filters=16", "--option", "batch_norm=True"],
    "U-Net on MobileNetV2": ["--model", "UNet", "--backbone", "MobileNetV2"],
    "DeepLabv3+ on MobileNetV2": ["--model", "DeepLabV3Plus", "--backbone", "MobileNetV2"],
}
APP = Path(__file__).with_name("train_segmenter.py")

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
add = parser.add_argument
add("--run", type=Path, default="saved_models/comparison", help="the folder it leaves")
add("--size", type=int, default=96, help="side of the scenes in pixels (default 96)")
add("--train", type=int, default=1000, help="scenes to train on (default 1000)")
add("--test", type=int, default=200, help="scenes to test on (default 200)")
add("--epochs", type=int, default=20)
add("--difficulty", type=float, default=0.5, help="of the scenes, 0 to 1 (default 0.5)")
add("--smoke", action="store_true", help="one epoch of a few small scenes")
args = parser.parse_args()
if args.smoke:
    args.size, args.train, args.test, args.epochs = 64, 16, 8, 1
counts = {"train": args.train, "validation": max(8, args.test // 4), "test": args.test}
scenes = {"size": (args.size, args.size), "difficulty": args.difficulty, **counts}

# Training: each network is a run of apps/train_segmenter.py.
cards = {}
for name, options in NETWORKS.items():
    folder = args.run / "".join(c if c.isalnum() else "_" for c in name.split(" (")[0]).lower()
    folder = folder.with_name(folder.name + ("_scratch" if "scratch" in name else ""))
    if not (folder / "card.json").is_file():
        print(f"\n{name}", flush=True)
        given = [f"{key}={value}" for key, value in scenes.items() if key != "size"]
        common = [
            "--size",
            args.size,
            "--epochs",
            args.epochs,
            "--run",
            folder,
            "--augment",
            "none",
        ]
        data = [argument for text in given for argument in ("--data-option", text)]
        command = [sys.executable, APP, "scenes", *data, *common, *options]
        status = subprocess.run(list(map(str, command)), check=False).returncode
        if not (folder / "card.json").is_file():
            sys.exit(status or 1)
    cards[name] = folder, json.loads((folder / "card.json").read_text(encoding="utf-8"))

# Result
head = ["network", "parameters", "multiply-adds", "minutes", "mean IoU", "pixel accuracy"]
head += ["boundary F1", "int8 mean IoU", "int8 MB"]
rows = [head, ["---", *["---:"] * (len(head) - 1)]]
with quietly():  # TensorFlow starts
    test = kv.data.load("scenes", "test[:5]", **scenes)
shape = (args.size, args.size, 3)
images, masks = next(iter(kv.data.batches(test, shape, 5, target="segmentation_mask")))
images, columns = images.numpy(), {"truth": masks.numpy()[..., 0]}
for name, (folder, card) in cards.items():
    model = kv.export.load_keras(folder)
    with open(folder / "history.csv", newline="", encoding="utf-8") as file:
        seconds = sum(float(epoch.get("seconds") or 0) for epoch in csv.DictReader(file))
    metrics, small = card["metrics"], card["files"]["model_int8.tflite"]["check"]
    shares = [metrics[key] for key in ("mean_iou", "pixel_accuracy", "boundary_f1")]
    cells = [name, f"{model.count_params():,}", f"{kv.models.multiply_adds(model) / 1e6:.0f} M"]
    cells += [f"{seconds / 60:.1f}", *(f"{100 * share:.1f}" for share in shares)]
    cells += [f"{100 * small['metric_file']:.1f}", f"{small['size_bytes'] / 1e6:.2f}"]
    rows.append(cells)
    columns[name] = model.predict(images, verbose=0).argmax(-1)
table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
(args.run / "table.md").write_text(table, encoding="utf-8")
figure = kv.visualize.compared_segmentations(images, columns, card["classes"])
figure.savefig(args.run / "gallery.png")
print(f"\n{table}\nWrote {args.run}/table.md and gallery.png")
