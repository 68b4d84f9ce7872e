"""The command line: `kvision models | evaluate | predict | export | benchmark`."""

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
from kvision.files.writing import writing
from kvision.quiet import quietly
from kvision.runs import arguments

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
Task = Annotated[
    str | None, typer.Option(help="What the model is for, where it does not say so itself.")
]


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
    task: Task = None,
):
    """Score a model on labelled pictures, class by class where there are classes."""
    kv = _kvision()
    from kvision.runs.evaluating import labelled_batches
    from kvision.runs.tables import print_classes
    from kvision.runs.tasks import part_of

    loaded = kv.export.load(model)
    options = dict(map(arguments.named_value, data_option or ()))
    batches, names, split = labelled_batches(loaded, data, split, resize, options, task)
    part = part_of(kv.export.task_of(loaded, task))
    lines, rows, columns = part.lines(part.evaluate(loaded, batches, names))
    print(f"{data} [{split}]: {lines[0]}", *lines[1:], sep="\n")
    if rows:
        print_classes(rows, columns)


@app.command()
def predict(
    model: Model,
    photos: Annotated[list[Path], typer.Argument(help="Photos, or folders of photos.")],
    top: Annotated[int, typer.Option(min=1, help="How many classes or objects to print.")] = 3,
    save: Annotated[
        Path | None,
        typer.Option(help="Write a picture of the photos with what is found in them here."),
    ] = None,
    heatmap: Annotated[
        Path | None,
        typer.Option(help="Write a picture of where the evidence for the best class is here."),
    ] = None,
    tiles: Annotated[
        bool, typer.Option("--tiles", help="Segment photos in their own size, tile by tile.")
    ] = False,
    score: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Of a detector: what scores less is not shown. By default 0.5."
        ),
    ] = None,
    resize: Resize = "stretch",
    task: Task = None,
):
    """Say what photos show; a model of several photos takes them one group after the other."""
    for option, target in (("--save", save), ("--heatmap", heatmap)):
        if target and not target.parent.is_dir():
            raise FileNotFoundError(
                f"There is no folder {str(target.parent)!r} to write {target.name} to."
            )
        arguments.check_target(option, target, arguments.PICTURES)
    kv = _kvision()
    from kvision.runs.evaluating import input_shape
    from kvision.runs.tasks import part_of
    from kvision.runs.viewing import viewer

    loaded = kv.export.load(model)
    input_shape(loaded)
    view = viewer(loaded, resize, top, task, tiles=tiles, score=score)
    found = kv.export.task_of(loaded, task)
    maps = part_of(found).heat_maps(loaded, resize) if heatmap else None
    seen = unread = 0
    for group in arguments.groups_of(arguments.photos_in(photos), found.inputs):
        names = ", ".join(map(readable, group))
        try:
            images = [kv.data.read_image(photo) for photo in group]
        except (OSError, ValueError) as error:
            print(printable(f"{names}: skipped, {error}"), file=sys.stderr)
            unread += len(group)
            continue
        print(printable(f"{names}: {view.look(*images)}"))
        seen += len(group)
        if maps:
            maps.add(*images, view)
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
        print(f"Wrote {readable(heatmap)}: {maps.note()}")


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
    task: Task = None,
):
    """Write a TFLite file and prove it on labelled pictures; a file that fails is renamed."""
    check_path(output)
    arguments.check_target("--output", output, (".tflite",))
    kv = _kvision()
    from kvision.runs.evaluating import labelled_batches

    folder = model if model.is_dir() else model.parent
    loaded = kv.export.load(model)
    source = kv.export.load_keras(model)
    given = {"options": dict(map(arguments.named_value, data_option or ())), "task": task}
    batches, names, split = labelled_batches(loaded, data, split, resize, **given)
    calibration = None
    if quantize == Quantize.int8:  # which takes 500 images at most
        calibration, *_ = labelled_batches(loaded, data, calibrate or "train", resize, **given)
    kind = None if quantize == Quantize.none else str(quantize)
    ending = ("" if kind is None else f"_{kind}") + "_labels" * label_map + "_boxes" * postprocess
    path = output or folder / f"model{ending}.tflite"
    print(f"Converting to {readable(path)} ...")
    options = {"label_map": label_map, "postprocess": postprocess, "task": task}
    kv.export.tflite(source, path, kind, calibration=calibration, labels=names or None, **options)
    report = kv.export.verify(source, path, batches, samples=None, task=task)
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
    for file in arguments.models_in(files):
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
