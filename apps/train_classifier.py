"""Trains a classifier on your pictures and leaves a run with checked phone files.

Command:       python apps/train_classifier.py photos/ --size 96 --run saved_models/photos
Fine-tuning:   add --weights imagenet (downloads once) or --weights saved_models/another-run
Several hosts: start it on each with TF_CONFIG set, in a folder they share; then once without

The data is a folder of class folders (with or without train, validation and test inside), an .npz
file, a TFDS name or 'digits'. A killed run goes on when the same command is started again.
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
    """'alpha=0.5' as ('alpha', 0.5), 'shortcut=A' as ('shortcut', 'A')."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE. Received: {text}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
add = parser.add_argument
add("data", help="a folder, an .npz file, a TFDS name or 'digits'")
add("--run", type=Path, default="saved_models/classifier", help="the folder that the run leaves")
add("--model", default="MobileNetV2", help="a name that `kvision models` lists")
add("--option", type=option, action="append", default=[], help="e.g. alpha=0.5, stem_strides=1")
add("--weights", help="what to fine-tune: 'imagenet', a .keras file or a run")
add("--size", type=int, default=96, help="side of the model's input in pixels (default 96)")
add("--channels", type=int, default=3, choices=(1, 3), help="3 for RGB (default), 1 for grey")
add("--resize", default="stretch", choices=("stretch", "crop", "pad"))
add("--epochs", type=int, default=20)
add("--head-epochs", type=int, default=3, help="first the classifier alone, if fine-tuning")
add("--batch-size", type=int, default=32)
add("--learning-rate", type=float, default=2e-3, help="at the start; it falls to 0 (default 2e-3)")
add("--augment", default="photo", choices=("photo", "mirror", "none"), help="vary the pictures")
add("--balance", action="store_true", help="weigh rare classes up")
add("--patience", type=int, help="stop after so many epochs without improvement")
add("--devices", type=int, help="replicas; by default all GPUs, else the CPU")
add("--mixed-precision", action="store_true", help="compute in 16 bits")
add("--jit-compile", action="store_true", help="compile with XLA; pays on GPUs only")
add("--seed", type=int, default=1)
args = parser.parse_args()

with quietly():  # only now: --help answers at once
    import keras

strategy = kv.training.strategy(args.devices)
keras.utils.set_random_seed(args.seed)
if args.mixed_precision:
    kv.training.mixed_precision()

# Data: what the source has no split for is cut from its training images.
info = kv.data.load(args.data, with_info=True)[1]
splits = kv.data.three_splits(info)
sizes = {use: f"{split} ({info.splits[split].num_examples})" for use, split in splits.items()}
print("Data:", ", ".join(f"{use} on {text}" for use, text in sizes.items()))
shape = (args.size, args.size, args.channels)
common = {"image_size": shape, "batch_size": args.batch_size, "resize": args.resize}
sets = dict(zip(splits, kv.data.load(args.data, list(splits.values())), strict=True))
mirror = [keras.layers.RandomFlip("horizontal")]
augment = {"photo": True, "mirror": mirror, "none": None}[args.augment]
validation = kv.data.batches(sets["validation"], **common)
extra = {"class_weight": kv.data.balanced_class_weight(info)} if args.balance else {}

# Model
finished = kv.training.is_finished(args.run)
first_epoch = kv.training.completed_epochs(args.run)
about = {"classes": info.class_names, "input_shape": shape, "splits": splits}
about["data"] = kv.data.fingerprint(info)
command = shlex.join(["python", *sys.argv])
if not finished:
    try:
        run = kv.training.callbacks(args.run, patience=args.patience, about=about, command=command)
    except (ValueError, OSError) as error:
        parser.error(f"{error}")
with strategy.scope():
    options = {"input_shape": shape, "classes": len(info.class_names), **dict(args.option)}
    try:
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


def compile_and_fit(learning_rate, epochs, first_epoch=0, **fit_arguments):
    varied = {"augment": augment, "seed": args.seed, "first_epoch": first_epoch}
    train = kv.data.batches(sets["train"], **common, training=True, **varied)
    with strategy.scope():
        decay = keras.optimizers.schedules.CosineDecay(learning_rate, epochs * len(train))
        goal = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
        model.compile(keras.optimizers.Adam(decay), **goal, jit_compile=args.jit_compile)
    options = {"epochs": epochs, "shuffle": False, **extra}  # the data comes shuffled
    model.fit(train, validation_data=validation, **options, **fit_arguments)


# Training: fine-tuning begins with the classifier alone, then goes on with everything, more slowly.
head = model.get_layer("predictions")
if args.weights and head.trainable_weights and not first_epoch and not finished:
    for layer in model.layers:
        layer.trainable = layer is head
    print("First the new classifier alone:")
    compile_and_fit(args.learning_rate, args.head_epochs)
    model.trainable = True
    print("Now the whole network:")
if not finished:
    rate = args.learning_rate / 10 if args.weights else args.learning_rate
    try:
        compile_and_fit(rate, args.epochs, first_epoch, callbacks=run)
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
        test=kv.data.batches(sets["test"], **common),
        calibration=kv.data.batches(sets["train"], **common),
        class_names=info.class_names,
        data=f"{info.name}: " + ", ".join(f"{use} on {text}" for use, text in sizes.items()),
        command=None,  # the one that trained it
    )
except OSError as error:  # what is there is whole: start it again
    sys.exit(f"{error}")
print(f"Test accuracy {card['metrics']['accuracy']:.2%}. Read {args.run}/README.md")
sys.exit(0 if card["passed"] else 1)
