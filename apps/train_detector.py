"""Trains a detector on your pictures and boxes and leaves a run with checked phone files.

Command:       python apps/train_detector.py photos/ --size 320 --run saved_models/photos
No data yet:   python apps/train_detector.py scenes --size 128 --epochs 20
Another net:   add --model FasterRCNN --option feature_pyramid=True, --model MaskRCNN or SSD300
Fine-tuning:   add --backbone-weights imagenet (downloads once), or --weights saved_models/other
Several hosts: start it on each with TF_CONFIG set, in a folder they share; then once without

The data is a VOC, COCO or YOLO folder, a COCO .json, a .csv of boxes, a TFDS name or 'scenes'. A
killed run goes on when the same command is started again. Phones get SSDLite and SSD300; the
two-stage networks are for the desk, and leave a SavedModel.
"""

import argparse
import ast
import os
import shlex
import sys
from pathlib import Path

import kvision as kv
from kvision.quiet import quietly

PHONES = ("SSDLite", "SSD300")
MASKS = ("MaskRCNN", "MaskXRCNN")


def option(text):
    """'alpha=0.5' as ('alpha', 0.5), 'annotations=boxes' as ('annotations', 'boxes')."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE. Received: {text}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def size(text):
    """'320' as (320, 320), '240x320' as (240, 320)."""
    sides = [int(side) for side in text.split("x")]
    return (sides * 2)[:2]


parser = argparse.ArgumentParser(
    usage="%(prog)s data [options]; --help lists them",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
)
add = parser.add_argument
add("data", help="a VOC or YOLO folder, a COCO .json, a .csv of boxes, a TFDS name or 'scenes'")
add("--run", type=Path, default="saved_models/detector", help="the folder that the run leaves")
add("--model", default="SSDLite", help="a detector that `kvision models` lists (default SSDLite)")
add("--backbone", help="a classifier to build on; the model's own by default")
add("--option", type=option, action="append", default=[], help="e.g. most=50: kvision models NAME")
add("--backbone-option", type=option, action="append", default=[], help="e.g. alpha=0.35")
add("--data-option", type=option, action="append", default=[], help="e.g. difficulty=0.3")
add("--split", type=option, action="append", default=[], help="e.g. train=train[:150]")
add("--weights", help="what to fine-tune: a .keras file or a run")
add("--backbone-weights", help="'imagenet', a .keras file or a run of a classifier")
add("--size", type=size, default=(320, 320), help="of the model's input: 320 (default) or 240x320")
add("--resize", default="stretch", choices=("stretch", "crop", "pad"))
add("--epochs", type=int, default=60)
add("--batch-size", type=int, default=16)
add("--learning-rate", type=float, default=2e-3, help="the highest; it falls to 0 (default 2e-3)")
add("--augment", default="crop", choices=("crop", "shift", "mirror", "none"), help="of pictures")
add("--score-every", type=int, default=5, help="epochs between COCO scores (default 5)")
add("--patience", type=int, help="stop after so many epochs without improvement")
add("--devices", type=int, help="replicas; by default all GPUs, else the CPU")
add("--mixed-precision", action="store_true", help="compute in 16 bits")
add("--jit-compile", action="store_true", help="compile with XLA; pays on GPUs only")
add("--seed", type=int, default=1)
args = parser.parse_args()

with quietly():  # only now: --help answers at once
    import keras
if args.model not in kv.list_models("detection"):
    parser.error(f"--model must be one of {', '.join(kv.list_models('detection'))}")
if args.epochs < 1:
    parser.error("--epochs must be at least 1")


strategy = kv.training.strategy(args.devices)
keras.utils.set_random_seed(args.seed)
if args.mixed_precision:
    kv.training.mixed_precision()

# Data: what the source has no split for is cut from its training images.
source = {"source": args.data, **dict(args.data_option)}
if args.data == "scenes":
    source = {"size": tuple(args.size), "train": 2000, "validation": 100, "test": 200, **source}
else:
    source = {"annotations": "instances" if args.model in MASKS else "boxes", **source}
try:
    info = kv.data.load(**source, with_info=True)[1]
    if "objects" not in info.features:
        parser.error(f"{args.data} holds no boxes; apps/train_classifier.py is for labels")
    splits = kv.data.three_splits(info) | dict(args.split)
    sets = dict(zip(splits, kv.data.load(**source, split=list(splits.values())), strict=True))
except (ValueError, TypeError, OSError) as error:
    parser.error(f"{args.data} cannot be read so: {error}")
sizes = {use: f"{split} ({len(sets[use])})" for use, split in splits.items()}
print("Data:", ", ".join(f"{use} on {text}" for use, text in sizes.items()))
names = list(info.features["objects"]["label"].names)
shape = (*args.size, 3)

# Model
finished = kv.training.is_finished(args.run)
first_epoch = kv.training.completed_epochs(args.run)
about = {"classes": names, "input_shape": shape, "splits": splits}
about["data"] = kv.data.fingerprint(info)
command = shlex.join(["python", *sys.argv])
if not finished:
    try:
        run = kv.training.callbacks(args.run, patience=args.patience, about=about, command=command)
    except (ValueError, OSError) as error:
        parser.error(f"{error}")
with strategy.scope():
    options = {"input_shape": shape, "classes": len(names), **dict(args.option)}
    backbone = args.backbone or ("MobileNetV2" if args.backbone_weights else None)
    try:
        if backbone:
            learned = None if finished else args.backbone_weights
            encoder = {"weights": learned, **dict(args.backbone_option)}
            options["backbone"] = kv.build_model(
                backbone, include_top=False, input_shape=shape, **encoder
            )
        model = kv.build_model(args.model, weights=None if finished else args.weights, **options)
    except (TypeError, ValueError, FileNotFoundError) as error:
        parser.error(f"{args.model} cannot be built so: {error}")
if finished:
    print(f"{args.run} is trained: exporting it. To train anew, pass another --run.")
    try:
        model = kv.runs.trained_model(args.run, model, about)
    except (ValueError, OSError) as error:
        parser.error(f"{error} To train anew, pass another --run.")
elif first_epoch:
    print(f"Going on after epoch {first_epoch}.")


def batches(use, **options):
    given = {"image_size": shape, "batch_size": args.batch_size, "resize": args.resize}
    given |= {"target": "objects", "masks": args.model in MASKS}
    return kv.data.batches(sets[use], **given, **options)


augment = {
    "crop": kv.data.detection_augmentation(),
    "shift": [
        keras.layers.RandomFlip("horizontal"),
        keras.layers.RandomZoom((-0.2, 0.25)),
        keras.layers.RandomTranslation(0.15, 0.15),
    ],
    "mirror": [keras.layers.RandomFlip("horizontal")],
    "none": None,
}[args.augment]
train = batches("train", training=True, augment=augment, seed=args.seed, first_epoch=first_epoch)
validation = batches("validation")

# Training
if not finished:
    with strategy.scope():
        rate = args.learning_rate / 10 if args.weights else args.learning_rate
        steps = args.epochs * len(train)
        warm = min(200, steps // 10)
        schedule = keras.optimizers.schedules.CosineDecay(
            rate / 100, steps - warm, warmup_target=rate, warmup_steps=warm
        )
        optimizer = keras.optimizers.Adam(schedule, global_clipnorm=10.0)
        model.compile(optimizer, jit_compile=args.jit_compile)
    scores = kv.evaluation.DetectionScores(validation, names, frequency=args.score_every)
    callbacks = [kv.training.Seconds(), scores, *run]
    fit = {"epochs": args.epochs, "shuffle": False}  # the data comes shuffled
    try:
        model.fit(train, validation_data=validation, callbacks=callbacks, **fit)
    except OSError as error:  # a full disk, a deleted folder
        sys.exit(f"{error}")

if "TF_CONFIG" in os.environ:
    print("Trained. Start the command once more on one host, without TF_CONFIG, to export it.")
    sys.exit()
if not kv.training.is_finished(args.run):
    sys.exit(1)  # it diverged, and has said so

# Proof
try:
    card = kv.runs.release(
        model,
        args.run,
        test=batches("test"),
        calibration=batches("train"),
        class_names=names,
        quantize=(None, "int8") if args.model in PHONES else (),
        data=f"{info.name}: " + ", ".join(f"{use} on {text}" for use, text in sizes.items()),
        command=None,  # the one that trained it
    )
except OSError as error:  # what is there is whole: start it again
    sys.exit(f"{error}")
scores = card["metrics"]["coco"]
print(f"Test AP {scores['AP']:.2%}, AP50 {scores['AP50']:.2%}. Read {args.run}/README.md")
if scores["AP50"] < 0.05:
    print("It finds next to nothing: give it more --epochs, pictures, or --backbone-weights.")
sys.exit(0 if card["passed"] else 1)
