"""The model card: what a person wants to know before using a model."""

from string import Template

from kvision import tasks
from kvision.files.text import readable
from kvision.runs.tables import escape, measured
from kvision.runs.tasks import part_of

CARD = Template("""\
# $name

$verdict

$architecture, $parameters parameters, input $input pixels$classes_count.
Made $created with `$command`.

## Data

$data
$classes
## How good it is

$scores
$curves$filters
## The files and their proof

Each file was read back and run as an app runs it, and compared with `model.keras` on the test
images. Differences are of $compared.

| file | size | $metric | $lost | $agreement | largest, mean difference | check |
|---|---:|---:|---:|---:|---:|---|
$files

$reasons
Median time of one image on the machine that made the run ($machine); a phone differs:

| file | threads | median | 90th percentile |
|---|---:|---:|---:|
$latency

Operators in the TFLite files: $operators.

## How to use it

The files take RGB (or grey) pixels 0..255 at $input; the normalisation is inside.

$usage
## Made with

$versions

$paper
""")


def model_card(card, run_dir):
    """The card as Markdown.

    Args:
        card: what `kv.runs.release` writes to `card.json`.
        run_dir: the run folder, to know which figures there are.
    """
    architecture, task = card["architecture"], tasks.named(card["task"])
    part = part_of(task)
    exported = [name for name in card["files"] if name.endswith(".tflite")]
    passed = [name for name in exported if card["files"][name]["check"]["passed"]]
    best = (passed or exported or ["model.keras"])[-1]
    count = len(card["classes"])
    return CARD.substitute(
        name=readable(card["name"]),
        verdict=_verdict(card),
        architecture=architecture["name"],
        parameters=f"{architecture['parameters']:,}",
        input=_sizes(architecture["input_shape"], "x"),
        classes_count=f", {count} classes" if count else "",
        created=card["created"],
        command=readable(card["command"]) or "a call of kv.runs.release",
        data=readable(card["data"]) or "Not described.",
        classes=f"\nClasses: {', '.join(map(escape, card['classes']))}.\n" if count else "",
        scores=part.section(card["metrics"]),
        metric=task.metric.name,
        lost="points lost" if task.metric.unit == "%" else f"{task.metric.unit} lost",
        agreement=part.AGREEMENT,
        compared=part.COMPARED,
        curves=_section(run_dir, "How it learned", "Learning curves"),
        filters=_section(run_dir, "What its first layer looks for", "Filters"),
        files="\n".join(
            _file_row(name, file["check"], task.metric) for name, file in card["files"].items()
        ),
        reasons=_reasons(card["files"]),
        machine=card["machine"],
        latency="\n".join(_latency_rows(card["files"])),
        operators=_operators(card["files"], exported),
        usage=part.usage(card, best=best, shape=_sizes(architecture["input_shape"], ", ")),
        versions=", ".join(f"{name} {version}" for name, version in card["versions"].items()),
        paper=f"{architecture['paper']}. {architecture['url']}".strip(". "),
    )


def _sizes(shape, between):
    """A shape as people read it; of several inputs each with its name."""
    if isinstance(shape, dict):
        return ", ".join(f"{name} {_sizes(one, between)}" for name, one in shape.items())
    return between.join(map(str, shape))


def _verdict(card):
    if card["passed"] and any(file["check"].get("doubts") for file in card["files"].values()):
        return "**PASS, with doubts**: no exported file failed, but see the notes on their proof."
    if card["passed"]:
        return "**PASS**: every exported file was run again and gives what the model gives."
    return "**FAIL**: at least one exported file failed its check and was renamed `.rejected`."


def _section(run_dir, title, figure):
    """A heading and a figure, if the run has it."""
    file = f"figures/{figure.lower().replace(' ', '_')}.png"
    if not (run_dir / file).is_file():
        return ""
    return f"\n## {title}\n\n![{figure}]({file})\n"


def _file_row(name, check, metric):
    def number(key, form):
        return "–" if check.get(key) is None else format(check[key], form)

    reached = measured(check.get("metric_file"), metric)
    return (
        f"| `{name}` | {check.get('size_bytes', 0) / 1e6:.2f} MB | {reached} "
        f"| {number('metric_drop', '.2f')} | {number('top1_agreement', '.2%')} "
        f"| {number('max_difference', '.2g')}, {number('mean_difference', '.2g')} "
        f"| {'PASS' if check['passed'] else 'FAIL'} |"
    )


def _reasons(files):
    lines = []
    for name, check in ((name, file["check"]) for name, file in files.items()):
        if not check["passed"]:
            lines.append(f"- `{name}` failed: {' '.join(check['reasons'])}")
        elif check.get("doubts"):
            lines.append(f"- `{name}` passed, but: {' '.join(check['doubts'])}")
    return "".join(f"{line}\n" for line in lines)


def _latency_rows(files):
    for name, file in files.items():
        for row in file.get("latency", []):
            threads = row["threads"] or "TensorFlow's"
            yield f"| `{name}` | {threads} | {row['median_ms']:.3g} ms | {row['p90_ms']:.3g} ms |"


def _operators(files, names):
    found = {}
    for name in names:
        for operator, count in (files[name]["check"].get("operators") or {}).items():
            found.setdefault(operator, []).append(str(count))
    return ", ".join(f"{name} ({' / '.join(counts)})" for name, counts in sorted(found.items()))
