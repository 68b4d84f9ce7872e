"""`load`: one call for every source, with the manners of `tfds.load`."""

import difflib
import functools
import inspect
import os
import pathlib

from kvision.data.fingerprint import listed
from kvision.data.sources.arrays import digits, npz
from kvision.data.sources.boxes.csv_boxes import csv_boxes
from kvision.data.sources.coco import KINDS, coco
from kvision.data.sources.recognising import FILE_OPTIONS, folder_opener
from kvision.data.sources.splits import parse_split
from kvision.data.sources.tfds_source import is_tfds_name, load_tfds, tfds_names
from kvision.data.sources.yolo import yolo
from kvision.files.reading import reading

_EMBEDDED = ("digits", "scenes")


def load(
    source, split=None, with_info=False, *, errors="skip", seed=0, annotations=None, **options
):
    """Opens a source of images as `tf.data.Dataset`s of single examples.

    Use it as `tfds.load`. Each example is a dict in TFDS's own feature names: `image` (uint8,
    (height, width, channels)), `label` (int64) or `segmentation_mask` (uint8, (height, width, 1),
    a class index for each pixel and 255 where there is none), or `edges` (float32, (height, width,
    1), the share of annotators who drew one) or `objects`: `bbox` (float32, (n,
    4), relative ymin, xmin, ymax, xmax), `label` (int64, (n,)) and possibly `is_crowd`,
    `is_difficult` (bool), `area` (in pixels) and `mask` (uint8, (n, height, width)).
    `kv.data.batches` makes of it what `fit` takes.

    The examples of a folder or an `.npz` come in a random but fixed order in which every prefix
    holds the classes in their proportions, so that `"train[:80%]"` and `"train[80%:]"` are a fair
    pair. A folder is checked first: every file is decoded once (and that remembered in the user's
    cache folder), what cannot be decoded is left out and named in one warning, and so are images
    without a mask, masks of another size, and masks with labels that mean nothing. Boxes that are
    wrong are put right where it is clear what was meant, else dropped, and named likewise.

    Args:
        source: one of

            - `"digits"`: scikit-learn's 1,797 handwritten digits, no network needed;
            - `"scenes"`: our synthetic world, drawn as it is asked for; see docs/guides/scenes.md;
            - a folder of class folders, or of train, val and test folders of class folders;
            - a folder of images beside a folder of masks (`images` and `masks`, `train` and
              `trainannot`, ...), or in the layout of VOC or Cityscapes; see docs/guides/data.md;
            - a folder of images beside a folder of drawn edges (`images` and `edges`), Berkeley's
              `images` and `groundTruth/*.mat`, or with a `train_pair.lst`; see docs/tasks/edges.md;
            - a folder of pictures and VOC's XML files (`JPEGImages`, `Annotations`);
            - a folder of pictures and YOLO's labels (`images`, `labels`), or its `data.yaml`;
            - a `.json` file of COCO instances beside its images, or a folder with
              `annotations/instances_train2017.json` or `train/_annotations.coco.json` and the like;
            - a `.csv` file with a row for each box, beside its images, or a folder with
              `train/_annotations.csv` and the like;
            - an `.npz` file with `x_train, y_train, x_test, y_test`, or `x, y`, or
              `images, labels`;
            - the name of a TFDS data set, `"tfds:cifar10"` or plainly `"cifar10"`.

            A folder or file of that name goes before a TFDS name. What lies in a single folder
            inside a folder is found, too.
        split: None for a dict of all splits; a string such as `"train"`, `"train[:80%]"`,
            `"train[-100:]"`, `"train+test"` for one dataset; a list of strings for a list.
            `"val"` and `"valid"` mean `"validation"`.
        with_info: whether to return the pair (datasets, info).
        errors: for folders: `"skip"` leaves damaged files out and repairs boxes, `"raise"` stops at
            them.
        seed: the order of the examples of folders and files depends on it, and the scenes do.
        annotations: what to serve of a source that has several: `"masks"` of classes (the default
            of VOC and COCO, and of YOLO where all objects have outlines), `"boxes"`, or, for COCO
            and YOLO, `"instances"`, which are boxes with the mask of each object. A folder that
            lacks them is refused; other sources without a choice serve what they have.
        **options: of the source. Folders of masks take `class_names` (a list in the order of the
            values in the masks, or a dict of value to name), `colors` (a dict of class name to
            (red, green, blue) for coloured masks, or a list) and `void` (values or colours that
            mean void besides 255); COCO and CSV files `image_folder`; `"scenes"` what
            docs/guides/scenes.md says; TFDS sources what `tfds.load` takes, for example `data_dir`.

    Returns:
        What `split` asks for. With `with_info=True`, also the info: `info.class_names`,
        `info.splits["train"].num_examples`, `info.features["label"].num_classes`,
        `info.features["segmentation_mask"].names`, `info.features["objects"]["label"].names`,
        `info.features["image"].shape` and, for folders, `info.skipped` and `info.repaired`.

    Raises:
        FileNotFoundError: if `source` is a path and nothing is there.
        ValueError: if the source, the split or an option is unknown, or nothing can be served.

    Example:

    >>> train, info = kv.data.load("digits", split="train[:80%]", with_info=True)
    >>> len(train), info.splits["test"].num_examples
    (1150, 360)
    """
    if errors not in ("skip", "raise"):
        raise ValueError(f"`errors` must be 'skip' or 'raise'. Received: {errors!r}")
    if annotations not in (None, *KINDS):
        raise ValueError(f"`annotations` must be one of {KINDS}. Received: {annotations!r}")
    if not isinstance(source, (str, os.PathLike)):
        raise ValueError(
            f"`source` must be a name or a path. Received: {source!r} of type {type(source)}"
        )
    text = os.fspath(source)
    named = isinstance(source, str) and text.startswith("tfds:")
    opened = None if named else _open_local(source, text, errors, seed, annotations, options)
    if opened is None:
        name = text.removeprefix("tfds:")
        if not is_tfds_name(name):
            raise _unknown(text, name)
        return load_tfds(name, split, with_info, **options)
    datasets = _datasets(opened, split)
    if not with_info:
        return datasets
    chosen = {key: options[key] for key in options if key not in FILE_OPTIONS}
    return datasets, listed(opened, {"seed": seed, "annotations": annotations, **chosen})


def _open_local(source, text, errors, seed, annotations, options):
    """The source if it is embedded or lies on the disk, None if it may be a TFDS name."""
    path = pathlib.Path(text).expanduser()
    known = ()
    if isinstance(source, str) and text == "digits":
        opener = digits
    elif isinstance(source, str) and text == "scenes":
        from kvision.data.scenes import scenes

        opener = functools.partial(scenes, seed=seed)
        known = set(inspect.signature(scenes).parameters) - {"seed"}
    elif path.is_dir():
        opener, known = folder_opener(path, errors, seed, annotations)
    elif path.is_file():
        opener, known = _file_opener(path, errors, seed, annotations)
    else:
        return _maybe_tfds(source, text, path)
    strange = sorted(set(options) - set(known))
    if strange:
        takes = f"Its options are {', '.join(sorted(known))}." if known else "It has no options."
        raise ValueError(f"{text!r} must not be given the options {strange}. {takes}")
    images = options.get("image_folder")
    if images is not None and not (
        isinstance(images, (str, os.PathLike)) and os.path.isdir(images)
    ):
        raise ValueError(f"`image_folder` must be a folder. Received: {str(images)!r}")
    if not path.exists():
        return opener(**options)
    with reading(path, "The data in"):
        return opener(**options)


def _file_opener(path, errors, seed, annotations):
    """The function that opens a file, and the options that it takes."""
    ending = path.suffix.lower()
    if ending == ".npz":
        return functools.partial(npz, path, errors, seed), ()
    if ending == ".json":
        return functools.partial(coco, path, errors, seed, annotations), FILE_OPTIONS
    if ending == ".csv":
        return functools.partial(csv_boxes, path, errors, seed), FILE_OPTIONS
    if ending in (".yaml", ".yml"):
        return functools.partial(yolo, path, errors, seed, annotations), ()
    raise ValueError(
        "A file given as `source` must be an .npz archive of arrays, a COCO .json file, a .csv "
        "file of boxes or YOLO's data.yaml. "
        f"Received: {str(path)!r}. For single images give the folder that they lie in."
    )


def _maybe_tfds(source, text, path):
    """None for what may be a TFDS name; an error for a path where nothing is."""
    looks_like_path = (
        not isinstance(source, str)
        or os.sep in text
        or text.startswith((".", "~"))
        or path.suffix.lower() in (".npz", ".json", ".csv", ".yaml", ".yml")
    )
    # TFDS names may carry a configuration: "coco/2017".
    if looks_like_path and not is_tfds_name(text):
        raise FileNotFoundError(_missing(path, text))
    return None


def _datasets(opened, split):
    sizes = {name: info.num_examples for name, info in opened.info.splits.items()}
    if split is None:
        return {name: opened.dataset(parse_split(name, sizes)) for name in sizes if sizes[name]}
    if isinstance(split, (list, tuple)):
        return [opened.dataset(parse_split(part, sizes)) for part in split]
    return opened.dataset(parse_split(split, sizes))


def _missing(path, text):
    parent = path.parent
    beside = [entry.name for entry in parent.iterdir()] if parent.is_dir() else []
    close = difflib.get_close_matches(path.name, beside, n=3)
    hint = (
        f" Did you mean {' or '.join(repr(str(parent / name)) for name in close)}?" if close else ""
    )
    return f"There is no folder or file {text!r}.{hint}"


def _unknown(text, name):
    close = difflib.get_close_matches(name, [*_EMBEDDED, *tfds_names()], n=3)
    hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
    return ValueError(
        f"Unknown source {text!r}.{hint} `source` must be 'digits', a folder of class folders or "
        "of images and masks or boxes, 'scenes', an .npz file, a COCO .json file, a .csv file of "
        "boxes, YOLO's data.yaml, or the name of a TFDS data set ('tfds:cifar10' or 'cifar10')."
    )
