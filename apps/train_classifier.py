"""Trains a classifier on your pictures and leaves a run with checked phone files.

Command:   python apps/train_classifier.py photos/ --model MobileNetV2 --size 96 --run saved_models/photos
Fine-tune: add --weights imagenet (downloads), or --weights saved_models/other-run
Several hosts: start it on each with TF_CONFIG set, on a shared folder

The data: a folder of class folders (with or without train/validation/test inside), an .npz file,
a TFDS name or 'digits'. A killed run goes on when the same command is started again.
"""

import argparse
import os
import shlex
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

import kvision as kv


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("data", help="folder, .npz file, TFDS name or 'digits'")
    add("--run", default="saved_models/classifier", help="folder that the run leaves")
    add("--model", default="MobileNetV2", help="a name that `kvision models` lists")
    add("--weights", help="'imagenet', or a .keras file or run to fine-tune")
    add("--size", type=int, default=96, help="side of the model's input in pixels")
    add("--channels", type=int, default=3, choices=(1, 3), help="3 for RGB, 1 for grey")
    add("--option", action="append", default=[], metavar="NAME=NUMBER", help="e.g. alpha=0.5")
    add("--resize", default="stretch", choices=("stretch", "crop", "pad"))
    add("--epochs", type=int, default=20)
    add("--head-epochs", type=int, default=3, help="epochs of the classifier alone, if fine-tuning")
    add("--batch-size", type=int, default=32)
    add("--learning-rate", type=float, default=2e-3, help="of the first epochs; it decays to 0")
    add("--no-augment", action="store_true", help="do not vary the training pictures")
    add("--balance", action="store_true", help="weigh rare classes up")
    add("--patience", type=int, help="stop after so many epochs without improvement")
    add("--devices", type=int, help="replicas; by default all GPUs")
    add("--mixed-precision", action="store_true")
    add("--jit-compile", action="store_true", help="XLA: for GPUs")
    add("--seed", type=int, default=1)
    return parser.parse_args()


def split_of(data):
    """Training, validation and test split; what the source lacks is cut from its training images."""
    splits, info = kv.data.load(data, with_info=True)
    if "test" in splits and "validation" in splits:
        return ("train", "validation", "test"), info
    if "test" in splits:
        return ("train[:90%]", "train[90%:]", "test"), info
    if "validation" in splits:
        return ("train[:90%]", "train[90%:]", "validation"), info
    return ("train[:80%]", "train[80%:90%]", "train[90%:]"), info
