"""What there is to choose from: the networks with their facts and measurements, and docs/models.md.

The facts come from the registry, the measurements from `measured.json`, which
`python -m kvision.zoo` writes. Nothing is built here.
"""

import functools
import inspect
import json
from pathlib import Path
from string import Template

from kvision import registry, tasks

MEASURED = Path(__file__).with_name("measured.json")
OPEN_SIZE = (320, 480)  # for networks that take any: about a photograph of BSDS
COLUMNS = {
    "network": "---",
    "paper": "---",
    "year": "---:",
    "parameters": "---:",
    "multiply-adds": "---:",
    "input": "---:",
    "published": "---:",
    "protocol": "---",
    "CPU ms": "---:",
    "TFLite ms": "---:",
    "MB": "---:",
    "int8 ms": "---:",
    "int8 MB": "---:",
}
# In place of "published" a task has a column for each of its figures.
# What `kvision models` shows, with narrow headings, and of it what fits 80 columns.
LISTED = {
    "network": "model",
    "year": "year",
    "parameters": "parameters",
    "multiply-adds": "multiply\n-adds",
    "input": "input",
    "published": "",
    "CPU ms": "CPU\nms",
    "TFLite ms": "TFLite\nms",
    "MB": "file\nMB",
    "phone": "phone",
}
_NOT_SHORT = ("year", "input", "phone")
NOTE = """Errors are the papers', of ImageNet (ResNetCIFAR's of CIFAR-10), each by its own protocol.
`kvision models NAME` tells everything about one model."""
PAGE = Template("""\
# The networks

<!-- Written by `make models` from the registry and kvision/zoo/measured.json. -->

Each is a function of `kv.models` that returns a `keras.Model`. This table is also there as
`kvision models`, and all of one network as `kvision models ResNet50`.

```python
import kvision as kv

names = kv.list_models("classification")
light = [name for name in names if kv.model_info(name).multiply_adds < 1e9]
entry = kv.model_info("ResNet50")
print(entry.paper, entry.url, entry.year, dict(entry.published), entry.protocol)

small = kv.models.ResNet18(input_shape=(32, 32, 3), stem_strides=1, classes=10)
print(kv.models.multiply_adds(small), kv.models.levels(small))
```

$networks

*Parameters* are the trainable ones of the default network: the published count and the built
network's, which a test compares. Moving statistics are left out. *Multiply-adds* are those of
convolutions and dense layers for one picture of the default input. Tests hold both.

*Errors* are the publication's, in percent, of the ImageNet validation set unless the protocol
names another; they are not ours, and protocols differ too much to rank networks of different
papers by them. Where there is none, we have not checked it against the publication.

*Times* are medians for one picture. *CPU*: the Keras model, compiled by `predict_on_batch`, with
TensorFlow's own threads. *TFLite* and *int8*: the exported file, run by LiteRT with $threads
threads. *MB* is the size of the file (10⁶ bytes). Weights were random; times do not depend on them.
Files are measured of all classifiers and of the other networks meant for phones. Each float file
holds built-in operators only and gave the Keras model's outputs within 1e-4 (segmenters within
1e-3); int8 files, made for the classifiers meant for phones, gave its classes. Those of segmenters
and detectors need trained weights: [segmentation](tasks/segmentation.md) and
[detection](tasks/detection.md) have them. Networks of any input size were measured at $open_size;
those that are given regions, with 2,000 of them.

$machines

## Levels

`kv.models.feature_extractor(model, [8, 16, 32])` gives the last layers of these strides, for
segmentation, detection and style. The options `stem_strides` and `output_stride` move the strides,
not the names.

$levels
""")


def measurements(path=MEASURED):
    """What was measured: `{name: record}`, as `kvision.zoo.measuring` gives; maybe empty."""
    path = Path(path)
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def entries(task=None):
    """The registry's entries as they are listed: by year, paper and cost."""
    found = map(registry.model_info, registry.list_models(task))
    return sorted(found, key=lambda e: (e.year, e.url, e.multiply_adds or 0, e.name))


def row(entry, record=None):
    """One network as a dict of short texts, by the column's name; what is unknown is empty.

    Args:
        entry: of the registry.
        record: of `measurements`, or `None`.
    """
    record = record or {}
    headings = tasks.named(entry.task).published
    parameters = entry.parameters or record.get("parameters")
    files = {kind: record.get(kind) or {} for kind in ("tflite", "int8")}
    return {
        "network": entry.name,
        "paper": entry.paper,
        "year": str(entry.year),
        "parameters": f"{parameters:,}" if parameters else "",
        "multiply-adds": amount(entry.multiply_adds),
        "input": default_input(entry),
        **{head: str(entry.published.get(key, "")) for key, head in headings.items()},
        "protocol": entry.protocol if entry.published else "",
        "CPU ms": _short(record.get("cpu_ms")),
        "TFLite ms": _short(files["tflite"].get("ms")),
        "MB": _short(files["tflite"].get("megabytes")),
        "int8 ms": _short(files["int8"].get("ms")),
        "int8 MB": _short(files["int8"].get("megabytes")),
        "phone": "yes" if entry.mobile else "",
    }


def facts(entry, record=None):
    """All that is known of one network, as `{what: text}`; what is unknown is left out.

    Args:
        entry: of the registry.
        record: of `measurements`, or `None`.
    """
    record, known = record or {}, row(entry, record)
    headings = tasks.named(entry.task).published
    figures = ", ".join(
        f"{headings[key].removesuffix(' %')} {figure} %" for key, figure in entry.published.items()
    )
    levels = record.get("levels") or [("", layer) for layer in entry.levels]
    found = {
        "parameters": known["parameters"],
        "multiply-adds": f"{entry.multiply_adds:,}" if entry.multiply_adds else "",
        "default input": known["input"],
        "published": f"{figures} ({entry.protocol})" if figures else "",
        "levels": ", ".join(f"{stride} {layer}".strip() for stride, layer in levels),
        "for phones": known["phone"],
        "CPU, Keras": f"{known['CPU ms']} ms" if known["CPU ms"] else "",
        "TFLite": _file(record.get("tflite"), "largest difference {max_difference:.2g}"),
        "TFLite, int8": _file(record.get("int8"), "same class in {top1_agreement:.0%}"),
        "measured": _circumstances(record) if record else "",
    }
    return {what: text for what, text in found.items() if text}


def models_page():
    """The text of docs/models.md."""
    measured = measurements()
    listed = entries()
    known = {entry.name: measured[entry.name] for entry in listed if entry.name in measured}
    threads = sorted({str(record["threads"]) for record in known.values() if "threads" in record})
    return PAGE.substitute(
        networks="\n\n".join(_task_table(task, measured) for task in tasks.names()),
        threads=" or ".join(threads),
        machines=_machines(known),
        levels=_levels(known),
        open_size=" x ".join(map(str, OPEN_SIZE)),
    )


def listed(task, short=False):
    """The columns that `kvision models` shows of a task's networks, `{name: narrow heading}`."""
    heads = {key: head for key, head in LISTED.items() if not (short and key in _NOT_SHORT)}
    first = next(iter(tasks.named(task).published.values()))
    return _with_figures(heads, {first: first.replace(" ", "\n", 1)})


def _with_figures(columns, figures):
    """The columns with the task's own figures in the place of "published"."""
    parts = (figures if key == "published" else {key: value} for key, value in columns.items())
    return {key: value for part in parts for key, value in part.items()}


def _task_table(task, measured):
    headings = dict.fromkeys(tasks.named(task).published.values(), COLUMNS["published"])
    rows, columns = [], _with_figures(COLUMNS, headings)
    for entry in entries(task):
        cells = row(entry, measured.get(entry.name))
        cells["paper"] = f"[{entry.paper}]({entry.url})"
        rows.append([cells[column] for column in columns])
    title = tasks.named(task).title
    return f"## {title}\n\n" + _table(list(columns), list(columns.values()), rows)


def amount(count):
    """`3.858 G` for 3857973248; four digits."""
    if not count:
        return ""
    scale, letter = (1e9, "G") if count >= 1e9 else (1e6, "M")
    return f"{count / scale:.4g} {letter}"


def default_input(entry):
    """`224x224x3`, from the builder's signature; `any` for an open size."""
    shape = default_shape(entry)
    return "any" if None in shape else "x".join(map(str, shape))


def default_shape(entry):
    """The `(height, width, channels)` of the default network's input."""
    shape = inspect.signature(entry.builder).parameters["input_shape"].default
    return shape or _built_shape(entry.name)


@functools.cache
def _built_shape(name):
    from kvision.zoo.skeletons import without_weights  # which imports keras

    image = without_weights(lambda: registry.build_model(name).input)
    return (image["image"] if isinstance(image, dict) else image).shape[1:]


def _short(number):
    if number is None:
        return ""
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def _file(check, proof):
    if not check:
        return ""
    if not check["passed"]:
        return f"FAILED: {' '.join(check['reasons'])}"
    return f"{_short(check['ms'])} ms, {_short(check['megabytes'])} MB, {proof.format(**check)}"


def _circumstances(record):
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    return f"{record['date']} on {record['machine']}; {versions}"


def _machines(known):
    groups = {}
    for name, record in known.items():
        groups.setdefault(_circumstances(record), []).append(name)
    if len(groups) == 1:
        return f"Measured {next(iter(groups))}."
    return "\n".join(f"- {', '.join(names)}: {where}." for where, names in groups.items())


def _levels(known):
    held = {name: dict(record["levels"]) for name, record in known.items() if "levels" in record}
    strides = sorted({stride for levels in held.values() for stride in levels})
    rows = [[name, *(levels.get(s, "") for s in strides)] for name, levels in held.items()]
    head = ["network", *(f"stride {stride}" for stride in strides)]
    return _table(head, ["---"] * len(head), rows)


def _table(head, rules, rows):
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rules, *rows))
