"""Keras files that are bombs or damaged, without Keras."""

import json
import zipfile

import pytest

from kvision.files.keras_files import check_keras_file
from kvision.files.reading import reading


def made(path, filters):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        layer = {"class_name": "Conv2D", "config": {"filters": filters, "kernel_size": [3, 3]}}
        archive.writestr("config.json", json.dumps({"config": {"layers": [layer]}}))
        archive.writestr("model.weights.h5", bytes(5000))
    return path


def test_more_weights_than_bytes(tmp_path):
    check_keras_file(made(tmp_path / "a.keras", 64))
    with pytest.raises(ValueError, match=r"a\.keras must have weights .*filters=1,000,000,000,000"):
        check_keras_file(made(tmp_path / "a.keras", 10**12))


def test_what_unpacks_to_more_than_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr("kvision.files.reading.MEMORY", 2000)
    monkeypatch.setattr("kvision.files.reading.SWELLING", 2)
    with pytest.raises(ValueError, match=r"What is packed in .*a\.keras must fit into"):
        check_keras_file(made(tmp_path / "a.keras", 64))


def test_damaged_files(tmp_path):
    file = made(tmp_path / "a.keras", 64)
    whole = file.read_bytes()
    deep = "[" * 200_000
    for content in (b"", whole[:100], b"no archive"):
        file.write_bytes(content)
        message = r"The model .*a\.keras cannot be read"
        with pytest.raises(ValueError, match=message), reading(file, "The model"):
            check_keras_file(file)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("config.json", deep)
    with pytest.raises(ValueError, match=r"a\.keras cannot be read"), reading(file, "The model"):
        check_keras_file(file)
