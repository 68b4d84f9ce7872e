"""What the training scripts share besides the training: flags, errors in a line, a network."""

import argparse
import os
import sys
from pathlib import Path

from kvision import registry
from kvision.quiet import quietly
from kvision.runs import arguments


def parser(text, data, run, model, size, epochs, batch_size=16, backbone=None):
    """Returns a parser of the flags that all training scripts have; it needs no TensorFlow.

    Args:
        text: the script's docstring.
        data: what it takes as data, for the help.
        run: the usual folder of the run.
        model: the usual network.
        size: the usual side of the network's input.
        epochs: as usual.
        batch_size: as usual.
        backbone: help for `--backbone`, where the networks are built on one.
    """
    made = argparse.ArgumentParser(
        usage="%(prog)s data [options]; --help lists them",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add, pair = made.add_argument, {"type": _option, "action": "append", "default": []}
    add("data", help=data)
    add("--run", type=Path, default=run, help="the folder that the run leaves")
    add("--model", default=model, help=f"a name that `kvision models` lists (default {model})")
    add("--option", **pair, help="of the model, e.g. alpha=0.5: kvision models NAME")
    add("--weights", help="what to fine-tune: a name that the model knows, a .keras file or a run")
    if backbone:
        add("--backbone", help=backbone)
        add("--backbone-option", **pair, help="e.g. alpha=0.35")
        add("--backbone-weights", help="'imagenet', a .keras file or a run of a classifier")
    add("--data-option", **pair, help="how the data is read, e.g. difficulty=0.3")
    add("--split", **pair, help="what to take, e.g. train=train[:15]")
    add(
        "--size", type=_size, default=(size, size), help=f"of the input: {size} (default) or 96x128"
    )
    add("--channels", type=int, default=3, choices=(1, 3), help="3 for RGB (default), 1 for grey")
    add("--resize", default="stretch", choices=("stretch", "crop", "pad"))
    add("--epochs", type=int, default=epochs, help=f"(default {epochs})")
    add("--batch-size", type=int, default=batch_size, help=f"(default {batch_size})")
    add("--learning-rate", type=float, default=2e-3, help="the highest (default 2e-3)")
    add("--patience", type=int, help="stop after so many epochs without improvement")
    add("--devices", type=int, help="replicas; by default all GPUs, else the CPU")
    add("--mixed-precision", action="store_true", help="compute in 16 bits")
    add("--jit-compile", action="store_true", help="compile with XLA; pays on GPUs only")
    add("--seed", type=int, default=1)
    return made


def start(parser, task):
    """Reads the command line and starts TensorFlow as it says.

    From then on what goes wrong ends the script with a line: with status 2 where it was used
    wrongly, with 1 where the disk or the network fails. With `KVISION_DEBUG` set, errors come with
    a traceback.

    Args:
        parser: what `parser` returned, with the script's own flags added.
        task: the name of the task of its networks.

    Returns:
        The arguments, and the strategy in whose scope to build and compile.
    """
    args = parser.parse_args()
    with quietly():  # only now: --help answers at once
        import keras

        from kvision import training
    if args.model not in registry.list_models(task):
        parser.error(f"--model must be one of {', '.join(registry.list_models(task))}")
    if args.epochs < 1:
        parser.error("--epochs must be at least 1")
    sys.excepthook = told_in_a_line(parser)
    strategy = training.strategy(args.devices)
    keras.utils.set_random_seed(args.seed)
    if args.mixed_precision:
        training.mixed_precision()
    return args, strategy


def data_options(args, **usual):
    """Returns what `kv.data.three_sets` is given beside the source: a dict.

    Args:
        args: what `start` returned.
        **usual: options of sources other than `"scenes"`, which is told how large and how many.
    """
    if args.data == "scenes":
        usual = {"size": args.size, "train": 2000, "validation": 100, "test": 200}
    return {**usual, **dict(args.data_option)}


def build(args, shape, classes, finished=False, backbone=None):
    """Returns the network that the command line asks for, in the scope of a strategy.

    Args:
        args: what `start` returned.
        shape: of the input.
        classes: how many; `None` for a network of none.
        finished: whether the run is trained, so that no weights need be fetched.
        backbone: what the network is built on where the command line does not say it.

    Raises:
        ValueError: where it cannot be built so.
    """
    options = (
        {"input_shape": shape} if classes is None else {"input_shape": shape, "classes": classes}
    )
    options |= dict(args.option)
    backbone = getattr(args, "backbone", None) or backbone
    try:
        if backbone not in (None, "none"):
            learned = None if finished else args.backbone_weights
            given = {"weights": learned, **dict(args.backbone_option)}
            options["backbone"] = registry.build_model(
                backbone, include_top=False, input_shape=shape, **given
            )
        weights = None if finished else args.weights
        return registry.build_model(args.model, weights=weights, **options)
    except (TypeError, ValueError, FileNotFoundError) as error:
        raise ValueError(f"{args.model} cannot be built so: {error}") from error


def told_in_a_line(parser):
    """Returns a hook for uncaught errors, as `start` describes it."""

    def hook(kind, error, traceback):
        if os.environ.get("KVISION_DEBUG") or not isinstance(
            error, (ValueError, OSError, ImportError)
        ):
            sys.__excepthook__(kind, error, traceback)
        elif isinstance(error, OSError):  # a full disk, a deleted folder
            sys.exit(str(error))
        else:
            parser.error(str(error))

    return hook


def _option(text):
    return _read(arguments.named_value, text)


def _size(text):
    return _read(arguments.size, text)


def _read(function, text):
    try:
        return function(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
