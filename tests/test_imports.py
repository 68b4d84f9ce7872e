"""Who may import whom (the table of the design), and what `import kvision` costs."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "kvision"
KERAS = {"keras", "numpy"}
# Rooms of kvision and packages beyond the standard library that each room may import.
ALLOWED = {
    "files": ({"files"}, set()),
    "quiet": (set(), set()),
    "tasks": (set(), set()),
    "registry": (set(), set()),
    "ops": ({"ops"}, KERAS),
    "initializers": ({"initializers"}, KERAS),
    "layers": ({"layers", "ops"}, KERAS),
    "losses": ({"losses", "ops"}, KERAS),
    "metrics": ({"metrics", "ops"}, KERAS),
    "models": ({"models", "files", "initializers", "layers", "losses", "ops", "registry"}, KERAS),
    "data": (
        {"data", "files", "layers", "ops", "quiet"},
        KERAS | {"tensorflow", "tensorflow_datasets", "PIL", "sklearn", "scipy", "yaml"},
    ),
    "training": ({"training", "files", "losses", "metrics"}, KERAS | {"tensorflow"}),
    "evaluation": ({"evaluation", "files", "ops", "metrics"}, KERAS | {"scipy", "pycocotools"}),
    "classical": ({"classical", "files", "layers", "ops"}, KERAS | {"sklearn", "cv2"}),
    "export": (
        {"export", "evaluation", "files", "layers", "ops", "quiet", "registry"},
        KERAS | {"tensorflow", "ai_edge_litert", "flatbuffers"},
    ),
    "visualize": ({"visualize", "files", "ops"}, {"numpy", "matplotlib", "PIL"}),
}
ANYTHING = {"__init__", "cli", "runs", "zoo"}  # nothing but apps and tests imports them


def imports(path):
    """Top names and, for kvision, rooms that a source file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module]
            if node.module == "kvision":
                names = [f"kvision.{alias.name}" for alias in node.names]
        else:
            continue
        yield from names


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_import_table(path):
    room = room_of(path)
    if room in ANYTHING:
        return
    rooms, packages = ALLOWED[room]
    for name in imports(path):
        top, *rest = name.split(".")
        if top == "kvision":
            assert not rest or rest[0] in rooms | {"tasks"}, (
                f"{room} may not import kvision.{rest[0]}"
            )
        else:
            assert top in packages | sys.stdlib_module_names, f"{room} may not import {name}"
        assert not {"src", "python"} & set(rest), f"private import {name}"


def module_of(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path, modules):
    """The modules of kvision that one imports, in functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            yield from {name, name.rpartition(".")[0]} & modules


def test_no_module_imports_itself_by_way_of_others():
    paths = {module_of(path): path for path in PACKAGE.rglob("*.py")}
    graph = {
        name: set(imported_modules(path, set(paths))) - {"kvision", name, name.rpartition(".")[0]}
        for name, path in paths.items()
    }
    assert sum(map(len, graph.values())) > 500
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError


def test_every_room_is_in_the_table():
    rooms = {room_of(path) for path in PACKAGE.rglob("*.py")}
    assert rooms == set(ALLOWED) | ANYTHING


def test_import_loads_nothing_heavy():
    heavy = "tensorflow tensorflow_datasets cv2 scipy pycocotools matplotlib sklearn keras_cv PIL "
    heavy += "jax"
    code = (
        "import sys, kvision as kv\n"
        f"heavy = {[*heavy.split(), 'jax']!r}\n"
        "print([n for n in heavy if n in sys.modules])\n"
        "import keras; keras.utils.set_random_seed(0); base = set(sys.modules)\n"
        "for room in 'models layers losses metrics ops data training evaluation'.split():\n"
        "    getattr(kv, room)\n"
        "for room in 'export visualize'.split():\n"
        "    getattr(kv, room)\n"
        "kv.list_models()\n"
        "print([n for n in heavy if n in set(sys.modules) - base])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.split("\n")[:2] == ["[]", "[]"], result.stdout


def test_unknown_attribute():
    import kvision

    with pytest.raises(AttributeError, match="no attribute 'modles'"):
        _ = kvision.modles
    assert "models" in dir(kvision)
