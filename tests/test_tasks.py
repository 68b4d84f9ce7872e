"""Tasks are plain data, and what depends on them has a file of its own."""

import ast
from pathlib import Path

from kvision import tasks

PACKAGE = Path(__file__).resolve().parents[1] / "kvision"
# What one file a task is: there a branch is at home.
OWN = (
    "*/tasks/*.py",
    "data/features/*.py",
    "tasks.py",
    "models/*/*.py",
    "evaluation/*.py",
    "export/forms/*.py",
    "data/sources/boxes/*.py",
    "data/scenes/*.py",  # the world that has the truth of every task
)
MOST = 10
FEATURES = {"label", "segmentation_mask", "objects", "edges"}  # that are a task's target
OUTPUTS = {"boxes", "fuse"}  # keys by which the outputs of one task are known
KINDS = {"is_segmenter", "is_detector", "DetectionTally", "MaskTally", "output_shape"}
ANSWERS = {"outputs", "found", "answer"}


def about_a_task(test):
    """Whether a condition asks for one task, one target or one kind of output."""
    parts = list(ast.walk(test))
    compared = [part for test in parts if isinstance(test, ast.Compare) for part in ast.walk(test)]
    texts = {part.value for part in compared if isinstance(part, ast.Constant)}
    names = {part.id for part in parts if isinstance(part, ast.Name)}
    fields = {part.attr for part in parts if isinstance(part, ast.Attribute)}
    shape = "isinstance" in names or fields & {"ndim", "rank"}
    return bool(
        texts & {*tasks.names(), *FEATURES, *OUTPUTS}
        or (names | fields) & KINDS
        or (names & ANSWERS and shape)
    )


def branches(node):
    """The conditions in a syntax tree, and dicts from tasks or targets to something.

    A check that raises is no branch.
    """
    if isinstance(node, ast.Raise):
        return
    if isinstance(node, ast.If) and isinstance(node.body[-1], ast.Raise) and not node.orelse:
        return
    if isinstance(node, (ast.If, ast.IfExp, ast.While)):
        yield node.test
    elif isinstance(node, ast.comprehension):
        yield from node.ifs
    elif isinstance(node, ast.match_case):
        yield node.pattern
    elif isinstance(node, ast.Dict):
        keys = {key.value for key in node.keys if isinstance(key, ast.Constant)}
        if len(keys & {*tasks.names(), *FEATURES}) > 1:
            yield node
    for child in ast.iter_child_nodes(node):
        yield from branches(child)


def counted(package):
    """Places of the branches outside the files that are a task's own: `file:line  code`."""
    for path in sorted(package.rglob("*.py")):
        place = path.relative_to(package)
        if any(place.match(pattern) for pattern in OWN):
            continue
        for node in branches(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Dict) or about_a_task(node):
                yield f"{place}:{node.lineno}  {ast.unparse(node)[:90]}"


def test_tasks_are_told_apart_in_their_own_files():
    """There were 52 when functions knew several tasks each, and 95 with checks that raise."""
    found = list(counted(PACKAGE))
    assert len(found) <= MOST, "\n".join([f"{len(found)} branches:", *found])
