"""Trains a segmenter on your pictures and masks and leaves a run with checked phone files.

Command:       python apps/train_segmenter.py photos/ --size 128 --run saved_models/photos
No data yet:   python apps/train_segmenter.py scenes --size 96 --epochs 15
Another net:   add --model DeepLabV3Plus --backbone ResNet50, or --model SegNet
Fine-tuning:   add --backbone-weights imagenet (downloads once), or --weights saved_models/other
Several hosts: start it on each with TF_CONFIG set, in a folder they share; then once without

The data is a folder of images beside a folder of masks, a VOC, Cityscapes, CamVid, COCO or YOLO
folder, a COCO .json, a TFDS name or 'scenes'. A killed run goes on when the same command is started
again.
"""

import argparse
import ast
import os
import shlex
import sys
from pathlib import Path

import kvision as kv
from kvision.quiet import quietly


def option(text):
    """'alpha=0.5' as ('alpha', 0.5), 'padding=same' as ('padding', 'same')."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE. Received: {text}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def size(text):
    """'128' as (128, 128), '96x128' as (96, 128)."""
    sides = [int(side) for side in text.split("x")]
    return (sides * 2)[:2]


parser = argparse.ArgumentParser(
    usage="%(prog)s data [options]; --help lists them",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
)
add = parser.add_argument
add("data", help="a folder, a COCO .json, a TFDS name or 'scenes'")
add("--run", type=Path, default="saved_models/segmenter", help="the folder that the run leaves")
add("--model", default="UNet", help="a segmenter that `kvision models` lists (default UNet)")
add("--backbone", help="its encoder, or none; MobileNetV2 by default for UNet, DeepLabV3Plus")
add("--option", type=option, action="append", default=[], help="of the model, e.g. filters=32")
add("--backbone-option", type=option, action="append", default=[], help="e.g. alpha=0.35")
add("--data-option", type=option, action="append", default=[], help="e.g. difficulty=0.3")
add("--split", type=option, action="append", default=[], help="e.g. train=train[:15]")
add("--weights", help="what to fine-tune: a .keras file or a run")
add("--backbone-weights", help="'imagenet', a .keras file or a run of a classifier")
add("--size", type=size, default=(128, 128), help="of the model's input: 128 (default) or 96x128")
add("--channels", type=int, default=3, choices=(1, 3), help="3 for RGB (default), 1 for grey")
add("--resize", default="stretch", choices=("stretch", "crop", "pad"))
add("--epochs", type=int, default=30)
add("--batch-size", type=int, default=16)
add("--learning-rate", type=float, default=2e-3, help="at the start; it falls to 0 (default 2e-3)")
add("--loss", default="crossentropy", choices=("crossentropy", "dice", "iou", "focal"))
add("--augment", default="photo", choices=("photo", "mirror", "elastic", "none"))
add("--border-weights", action="store_true", help="U-Net's weight of the gaps between objects")
add("--balance", action="store_true", help="weigh rare classes up, by median frequency")
add("--patience", type=int, help="stop after so many epochs without improvement")
add("--devices", type=int, help="replicas; by default all GPUs, else the CPU")
add("--mixed-precision", action="store_true", help="compute in 16 bits")
add("--jit-compile", action="store_true", help="compile with XLA; pays on GPUs only")
add("--seed", type=int, default=1)
args = parser.parse_args()

with quietly():  # only now: --help answers at once
    import keras

    from kvision.ops.masks import centre_crop
if args.model not in kv.list_models("segmentation"):
    parser.error(f"--model must be one of {', '.join(kv.list_models('segmentation'))}")
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
    source = {"annotations": "masks", **source}
try:
    info = kv.data.load(**source, with_info=True)[1]
    if "segmentation_mask" not in info.features:
        parser.error(f"{args.data} holds no masks; apps/train_classifier.py is for labels")
    splits = kv.data.three_splits(info) | dict(args.split)
    sets = dict(zip(splits, kv.data.load(**source, split=list(splits.values())), strict=True))
except (ValueError, TypeError, OSError) as error:
    parser.error(f"{args.data} cannot be read so: {error}")
sizes = {use: f"{split} ({len(sets[use])})" for use, split in splits.items()}
print("Data:", ", ".join(f"{use} on {text}" for use, text in sizes.items()))
names = list(info.features["segmentation_mask"].names)
shape = (*args.size, args.channels)
if args.border_weights:
    sets["train"] = kv.data.with_border_weights(sets["train"])

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
usual = "MobileNetV2" if args.model in ("UNet", "DeepLabV3Plus") else "none"
backbone = None if (args.backbone or usual) == "none" else args.backbone or usual
with strategy.scope():
    options = {"input_shape": shape, "classes": len(names), **dict(args.option)}
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
map_size = model.output_shape[1:3]  # smaller than the picture in a network that does not pad


def batches(use, **options):
    given = {"image_size": shape, "batch_size": args.batch_size, "resize": args.resize}
    dataset = kv.data.batches(sets[use], **given, **options, target="segmentation_mask")
    return dataset.map(lambda image, *maps: (image, *(centre_crop(m, map_size) for m in maps)))


mirror = [keras.layers.RandomFlip("horizontal")]
turns = [keras.layers.RandomFlip(), kv.layers.RandomElasticDeformation()]
augment = {"photo": True, "mirror": mirror, "elastic": turns, "none": None}[args.augment]
train = batches("train", training=True, augment=augment, seed=args.seed, first_epoch=first_epoch)
validation = batches("validation")

# Training
if not finished:
    weights = kv.data.median_frequency_weights(sets["train"], len(names)) if args.balance else None
    with strategy.scope():
        loss = {
            "crossentropy": kv.losses.MaskCrossentropy(class_weight=weights),
            "dice": kv.losses.DiceLoss(),
            "iou": kv.losses.SoftIoULoss(),
            "focal": kv.losses.MaskFocalLoss(),
        }[args.loss]
        metrics = [kv.metrics.MeanIoU(len(names)), kv.metrics.PixelAccuracy(len(names))]
        rate = args.learning_rate / 10 if args.weights else args.learning_rate
        decay = keras.optimizers.schedules.CosineDecay(rate, args.epochs * len(train))
        goal = {"loss": loss, "metrics": metrics, "jit_compile": args.jit_compile}
        model.compile(keras.optimizers.Adam(decay), **goal)
    callbacks = [kv.training.Seconds(), *run]
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
        data=f"{info.name}: " + ", ".join(f"{use} on {text}" for use, text in sizes.items()),
        command=None,  # the one that trained it
    )
except OSError as error:  # what is there is whole: start it again
    sys.exit(f"{error}")
print(f"Test mean IoU {card['metrics']['mean_iou']:.2%}. Read {args.run}/README.md")
sys.exit(0 if card["passed"] else 1)
