"""The command line: `kvision models | evaluate | predict | export | benchmark`."""

import ast
import functools
import inspect
import os
import sys
import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kvision import tasks
from kvision.files.text import check_path, printable, readable
from kvision.files.writing import check_writable, writing
from kvision.quiet import quietly

app = typer.Typer(
    help="Computer vision for Keras, from a folder of photos to a checked phone file. Wherever a "
    "MODEL is asked for, any file of a run serves: model.keras, saved_model, a .tflite file, or "
    "the run folder itself.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Model = Annotated[
    Path, typer.Argument(help="A .keras file, saved_model, .tflite file or run folder.")
]
Data = Annotated[
    str,
    typer.Argument(
        help="A folder of class folders, or of images beside masks, a VOC, COCO or YOLO folder, an "
        ".npz file, a COCO .json, a .csv of boxes, a TFDS name, 'digits' or 'scenes'."
    ),
]
Split = Annotated[
    str | None,
    typer.Option(help="E.g. test or train[80%:]. By default test, else validation, else train."),
]
DataOption = Annotated[
    list[str] | None,
    typer.Option(help="How the data is read, e.g. difficulty=0.1 of scenes. May be repeated."),
]
Resize = Annotated[str, typer.Option(help="How pictures get the model's size: stretch, crop, pad.")]


class Quantize(StrEnum):
    none = "none"
    float16 = "float16"
    dynamic = "dynamic"
    int8 = "int8"


def main():
    """Runs the command line; what went wrong is told once and without a traceback."""
    warnings.simplefilter("once", UserWarning)
    said = set()

    def say_once(message, *rest):
        if str(message) not in said:
            print(f"kvision: {printable(str(message))}", file=sys.stderr)
        said.add(str(message))

    warnings.showwarning = say_once
    try:
        app()
    except (ValueError, OSError, ImportError) as error:
        if os.environ.get("KVISION_DEBUG"):
            raise
        print(f"kvision: {printable(str(error))}", file=sys.stderr)
        raise SystemExit(2) from None


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(help="Show everything about one model.")] = None,
    task: Annotated[str | None, typer.Option(help="Only models of this task.")] = None,
):
    """List the models that can be built, with what was measured of them, or describe one."""
    from rich.console import Console
    from rich.table import Column, Table

    kv = _kvision()
    from kvision.zoo import catalogue

    if task:
        kv.list_models(task)  # raises where there is no such task
    measured = catalogue.measurements()
    if name:
        entry = kv.model_info(name)
        print(f"{entry.name} ({entry.year}), {entry.task}\n{entry.paper}\n{entry.url}\n")
        print(f"{entry.name}{inspect.signature(entry.builder)}\n")
        for what, text in catalogue.facts(entry, measured.get(name)).items():
            print(f"{what:<16} {text}")
        print(f"\n{(entry.builder.__doc__ or '').strip()}")
        return
    console = Console() if sys.stdout.isatty() else Console(width=100)
    short = console.width < 100
    for shown in [task] if task else tasks.names():
        heads = catalogue.listed(shown, short)
        first, *others = heads.values()
        columns = [Column(first), *(Column(head, justify="right") for head in others)]
        table = Table(*columns, box=None, padding=(0, 2, 0, 0))
        for entry in catalogue.entries(shown):
            cells = catalogue.row(entry, measured.get(entry.name))
            table.add_row(*(cells[column] for column in heads))
        console.print(f"[bold]{tasks.named(shown).title}[/bold]", table, sep="\n")
    print(f"\n{catalogue.NOTE}")


@app.command()
def evaluate(
    model: Model,
    data: Data,
    split: Split = None,
    data_option: DataOption = None,
    resize: Resize = "stretch",
):
    """Score a model on labelled pictures, masks or boxes, class by class."""
    kv = _kvision()
    loaded = kv.export.load(model)
    batches, names, split = _batches(kv, loaded, data, split, resize, data_option)
    from kvision.runs.scoring import SCORES

    lines, rows, columns = SCORES[_task(loaded)](loaded, batches, names)
    print(f"{data} [{split}]: {lines[0]}", *lines[1:], sep="\n")
    _print_classes(rows, columns)


@app.command()
def predict(
    model: Model,
    photos: Annotated[list[Path], typer.Argument(help="Photos, or folders of photos.")],
    top: Annotated[int, typer.Option(min=1, help="How many classes or objects to print.")] = 3,
    save: Annotated[
        Path | None,
        typer.Option(help="Write a picture of the photos with their classes, masks or boxes here."),
    ] = None,
    heatmap: Annotated[
        Path | None,
        typer.Option(help="Write a picture of where the evidence for the best class is here."),
    ] = None,
    tiles: Annotated[
        bool, typer.Option("--tiles", help="Segment photos in their own size, tile by tile.")
    ] = False,
    score: Annotated[
        float, typer.Option(min=0, max=1, help="Of a detector: what scores less is not shown.")
    ] = 0.5,
    resize: Resize = "stretch",
):
    """Say what photos show: classes with scores or shares of the pixels, or objects."""
    for option, target in (("--save", save), ("--heatmap", heatmap)):
        if target and not target.parent.is_dir():
            raise FileNotFoundError(
                f"There is no folder {str(target.parent)!r} to write {target.name} to."
            )
        _check_target(option, target, _PICTURES)
    kv = _kvision()
    from kvision.runs import viewing

    loaded = kv.export.load(model)
    _input_shape(loaded)
    view = viewing.viewer(loaded, resize, top, tiles, score)
    maps = viewing.HeatMapViewer(loaded, resize) if heatmap else None
    seen = unread = 0
    for photo in _files(photos):
        try:
            image = kv.data.read_image(photo)
        except (OSError, ValueError) as error:
            print(printable(f"{readable(photo)}: skipped, {error}"), file=sys.stderr)
            unread += 1
            continue
        print(printable(f"{readable(photo)}: {view.look(image)}"))
        seen += 1
        if maps:
            names = viewing.names_of(loaded, view.answers.shape[1])
            maps.add(image, view.scores[-1], names)
    if seen and getattr(view, "note", ""):
        print(view.note.strip())
    if unread:
        print(f"{unread} of {unread + seen} files could not be read.", file=sys.stderr)
    if not seen:
        print("There was no photo to look at.", file=sys.stderr)
        raise SystemExit(1)
    if save:
        with writing(save) as partial:
            view.save(partial)
        print(f"Wrote {readable(save)}")
    if maps:
        with writing(heatmap) as partial:
            maps.save(partial)
        rows, columns = maps.maps[0].shape
        print(f"Wrote {readable(heatmap)}: evidence at {rows}x{columns} positions of each photo")
        if min(rows, columns) < 4:
            print("So few positions say little; a model with a larger input has more.")


@app.command()
def export(
    model: Model,
    data: Data,
    quantize: Annotated[Quantize, typer.Option(help="What becomes smaller.")] = Quantize.int8,
    output: Annotated[
        Path | None, typer.Option(help="The .tflite file; by default beside the model.")
    ] = None,
    calibrate: Annotated[
        str | None,
        typer.Option(help="Split whose images set int8's ranges; by default 500 of train."),
    ] = None,
    label_map: Annotated[
        bool, typer.Option("--label-map", help="Of a segmenter: classes of pixels, no scores.")
    ] = False,
    postprocess: Annotated[
        bool, typer.Option("--postprocess", help="Of a detector: the file suppresses boxes itself.")
    ] = False,
    split: Split = None,
    data_option: DataOption = None,
    resize: Resize = "stretch",
):
    """Write a TFLite file and prove it on labelled pictures; a file that fails is renamed."""
    check_path(output)
    _check_target("--output", output, (".tflite",))
    kv = _kvision()
    folder = model if model.is_dir() else model.parent
    loaded = kv.export.load(model)
    source = kv.export.load_keras(model)
    batches, names, split = _batches(kv, loaded, data, split, resize, data_option)
    calibration = None
    if quantize == Quantize.int8:  # which takes 500 images at most
        calibrate = calibrate or "train"
        calibration, _, _ = _batches(kv, loaded, data, calibrate, resize, data_option)
    kind = None if quantize == Quantize.none else str(quantize)
    ending = ("" if kind is None else f"_{kind}") + "_labels" * label_map + "_boxes" * postprocess
    path = output or folder / f"model{ending}.tflite"
    print(f"Converting to {readable(path)} ...")
    options = {"label_map": label_map, "postprocess": postprocess}
    kv.export.tflite(source, path, kind, calibration=calibration, labels=names, **options)
    report = kv.export.verify(source, path, batches, samples=None)
    print(report)
    raise SystemExit(0 if report.passed else 1)


@app.command()
def benchmark(
    files: Annotated[list[Path], typer.Argument(help="Model files or run folders.")],
    threads: Annotated[str, typer.Option(help="Numbers of threads, e.g. 1,2,4.")] = "1,2",
    runs: Annotated[int, typer.Option(min=1, help="Timed runs of each.")] = 50,
):
    """Time model files, or all of a run, one image at a time, on this machine."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    kv = _kvision()
    try:
        numbers = [int(number) for number in threads.split(",")]
    except ValueError:
        raise ValueError(f"--threads must be numbers like 1,2,4. Received: {threads!r}") from None
    table = Table(Column("file", overflow="fold"), "size", "threads", "median", "90th percentile")
    for file in _models_in(files):
        report = kv.export.benchmark(file, threads=numbers, runs=runs)
        for row in report.results:
            times = f"{row.median_ms:.3g} ms", f"{row.p90_ms:.3g} ms"
            size = f"{report.size_bytes / 1e6:.2f} MB"
            table.add_row(escape(str(file)), size, str(row.threads or "TensorFlow's"), *times)
    Console().print(table)


def _kvision():
    """Imports what all commands need, without TensorFlow's start-up messages."""
    with quietly():
        import tensorflow  # noqa: F401
    import kvision

    return kvision


@functools.cache
def _task(loaded):
    from kvision.runs.viewing import task_of

    _input_shape(loaded)
    return task_of(loaded)


def _print_classes(rows, columns):
    """A table of the classes; counts with commas, shares in percent."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    from kvision.runs.tables import percent

    table = Table("class", *(Column(head, justify="right") for head in columns.values()))
    for row in rows:
        cells = [row[key] for key in columns]
        table.add_row(
            escape(row["name"]), *(f"{c:,}" if isinstance(c, int) else percent(c) for c in cells)
        )
    Console().print(table)


def _models_in(paths):
    """The paths, each run folder replaced by all models in it."""
    for path in paths:
        inside = [path / "model.keras", path / "saved_model", *sorted(path.glob("*.tflite"))]
        yield from [file for file in inside if file.exists()] or [path]


def _input_shape(loaded):
    if None in loaded.input_shape:
        raise ValueError(
            f"The model must have one input size; {loaded.path} has {loaded.input_shape}. Export "
            "it with a size first."
        )
    return loaded.input_shape


def _batches(kv, loaded, data, split, resize, data_option=None):
    """Batches of one split with the model's labels, the class names and the split's name."""
    options = dict(map(_named_value, data_option or ()))
    if data == "scenes":
        options.setdefault("size", _input_shape(loaded)[:2])
    splits, info = kv.data.load(data, with_info=True, **options)
    if split is None:
        split = next(
            (name for name in ("test", "validation") if name in splits), next(iter(splits))
        )
        if split == "train":
            print(
                f"{data} has no test split: all of its images are taken, which the model may have "
                "been trained on. The run's README.md says on which it was tested: pass that as "
                "--split.",
                file=sys.stderr,
            )
    dataset = splits[split] if split in splits else kv.data.load(data, split, **options)
    target, what = _TARGETS[_task(loaded)]
    if target not in dataset.element_spec:
        raise ValueError(
            f"{data} must have {what} to score {loaded.path} on. It has: "
            f"{', '.join(dataset.element_spec)}."
        )
    feature = info.features[target]
    names = list((feature["label"] if target == "objects" else feature).names)
    if loaded.labels and names != loaded.labels:
        dataset = kv.data.relabel(dataset, names, loaded.labels, target)
        names = loaded.labels
    batches = kv.data.batches(
        dataset, _input_shape(loaded), 32, training=False, resize=resize, target=target
    )
    return batches, names, split


_TARGETS = {
    "classification": ("label", "labels"),
    "segmentation": ("segmentation_mask", "masks"),
    "detection": ("objects", "boxes"),
}


def _named_value(text):
    """'difficulty=0.1' as ('difficulty', 0.1)."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--data-option must be NAME=VALUE. Received: {text}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def _check_target(option, path, endings):
    """Raises where a file cannot be written as an option says, before any work for it is done."""
    if path is None:
        return
    if path.suffix.lower() not in endings or path.is_dir():
        raise ValueError(
            f"{option} must name a file that ends in {' or '.join(endings)}. "
            f"Received: {str(path)!r}"
        )
    check_writable(path.parent)


_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".pdf", ".svg")


def _files(paths):
    """The photos, and all files in the folders among them but for hidden ones."""
    from kvision.data.sources.listing import entries

    def inside(folder):
        for entry in entries(folder):
            if entry.is_dir(follow_symlinks=False):
                yield from inside(entry.path)
            elif entry.is_file():
                yield Path(entry.path)

    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"There is no photo or folder {str(path)!r}.")
    return [file for path in paths for file in (inside(path) if path.is_dir() else [path])]
