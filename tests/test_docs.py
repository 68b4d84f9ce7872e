"""Every Python snippet of README, docs and docstrings runs."""

import doctest
import importlib
import inspect
import os
import pkgutil
import re
import shutil
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import kvision as kv

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(kv.__path__, "kvision.")
    if not module.name.endswith("convert_child")
)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def snippets(text):
    return [textwrap.dedent(code) for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL)]


@pytest.fixture(scope="module")
def materials(digits_run, tmp_path_factory):
    """A folder with what the snippets take for granted: a run and a folder of photos."""
    tmp_path = tmp_path_factory.mktemp("workshop")
    (tmp_path / "saved_models").mkdir()
    os.symlink(digits_run, tmp_path / "saved_models" / "quickstart")
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(12):
            pixels = random.integers(0, 256, (40, 50, 3), "uint8")
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{index}.jpg")
    for index in range(10):
        mask = np.zeros((48, 48), "uint8")
        mask[4:22, 4:22] = mask[4:22, 25:40] = 255
        for folder, pixels in (("images", mask // 2 + 40), ("masks", mask)):
            (tmp_path / "cells" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "cells" / folder / f"{index}.png")
    _blood(tmp_path / "blood")
    train = kv.data.load("digits", "train[:128]")
    test = kv.data.load("digits", "test[:64]")
    options = {"image_size": (32, 32, 1), "batch_size": 32, "training": False}
    test_batches = kv.data.batches(test, **options)
    return tmp_path, {
        "kv": kv,
        "keras": keras,
        "np": np,
        "model": keras.models.load_model(digits_run / "model.keras"),
        "images": next(iter(test_batches))[0].numpy(),
        "test_batches": test_batches,
        "train_batches": kv.data.batches(train, **options),
        "class_names": [str(digit) for digit in range(10)],
    }


def _blood(folder):
    """Pictures with boxes in VOC's layout."""
    for name in ("JPEGImages", "Annotations"):
        (folder / name).mkdir(parents=True)
    box = "<xmin>5</xmin><ymin>9</ymin><xmax>30</xmax><ymax>40</ymax>"
    thing = f"<object><name>WBC</name><bndbox>{box}</bndbox></object>"
    for index in range(8):
        pixels = np.full((48, 64, 3), 20 * index, "uint8")
        Image.fromarray(pixels).save(folder / "JPEGImages" / f"{index}.jpg")
        (folder / "Annotations" / f"{index}.xml").write_text(f"<annotation>{thing}</annotation>")


@pytest.fixture
def workshop(materials, monkeypatch):
    """The names that a snippet may use, in the folder with the materials."""
    folder, names = materials
    monkeypatch.chdir(folder)
    for run in (folder / "saved_models").iterdir():  # what another page left
        if run.name != "quickstart":
            shutil.rmtree(run) if run.is_dir() else run.unlink()
    return dict(names)


@pytest.fixture(params=[True, pytest.param(False, marks=pytest.mark.slow)], ids=["steps", "graph"])
def step_by_step(request):
    """Functions run step by step: to trace and compile a network takes longer than two batches."""
    tf.config.run_functions_eagerly(request.param)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
@pytest.mark.usefixtures("step_by_step")
def test_pages(page, workshop):
    codes = snippets(page.read_text())
    assert codes, f"{page.name} holds no Python snippet"
    before = dict(kv.registry._entries)
    try:
        for code in codes:
            exec(compile(code, str(page), "exec"), workshop)
    finally:
        kv.registry._entries.clear()
        kv.registry._entries.update(before)


def anchors(page):
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links(page):
    for link in re.findall(
        r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    ):
        path, _, anchor = link.partition("#")
        if link.startswith("http"):
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name, workshop):
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        test.globs.update({**workshop, **vars(module)})
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0
    for _, value in inspect.getmembers(
        module, lambda v: inspect.isfunction(v) or inspect.isclass(v)
    ):
        if value.__module__ == name:
            for code in snippets(inspect.getdoc(value) or ""):
                exec(compile(code, f"{name}.{value.__name__}", "exec"), dict(workshop))


@pytest.mark.parametrize(
    "room",
    ["data", "evaluation", "export", "layers", "models", "ops", "runs", "training", "visualize"],
)
def test_public_functions_have_an_example(room):
    public = getattr(kv, room)
    for name in public.__all__:
        value = getattr(public, name)
        if inspect.isfunction(value):
            text = inspect.getdoc(value) or ""
            assert "Example:" in text or room == "ops", f"kv.{room}.{name} has no example"
            assert text.split("\n")[0].endswith("."), (
                f"kv.{room}.{name}: the first line is no sentence"
            )
