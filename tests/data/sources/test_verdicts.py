"""A folder is checked once; what has changed is checked again; the data folder stays as it was."""

import json
import os

import pytest

import kvision as kv
from kvision.data.sources import verdicts


@pytest.fixture
def checked(monkeypatch):
    """The names of the files that were really checked."""
    seen = []
    check = verdicts.check_files

    def spy(paths):
        seen.extend(os.path.basename(path) for path in paths)
        return check(paths)

    monkeypatch.setattr(verdicts, "check_files", spy)
    return seen


def test_checked_once(clean_folder, checked, cache_home):
    before = sorted(str(path) for path in clean_folder.rglob("*"))
    kv.data.load(clean_folder)
    assert len(checked) == 20
    kv.data.load(clean_folder)
    assert len(checked) == 20
    assert sorted(str(path) for path in clean_folder.rglob("*")) == before
    assert len(list((cache_home / "kvision" / "checked").glob("*.json"))) == 1


def test_what_has_changed_is_checked_again(clean_folder, checked, save_image):
    kv.data.load(clean_folder)
    checked.clear()
    (clean_folder / "cat" / "3.png").write_bytes(b"now it is broken")
    save_image(clean_folder / "cat" / "new.png")
    for _ in range(2):
        with pytest.warns(UserWarning, match="cat.3.png: not an image"):
            dataset = kv.data.load(clean_folder, "train")
        assert len(dataset) == 20
    assert sorted(checked) == ["3.png", "new.png"]


@pytest.mark.parametrize(
    "damage",
    ["", "[]", "{}", '{"version": 1, "files": 3}', '{"version": 0, "files": {}}', "files"],
)
def test_damaged_notes_are_ignored(clean_folder, checked, cache_home, damage):
    kv.data.load(clean_folder)
    (notes,) = (cache_home / "kvision" / "checked").glob("*.json")
    if damage == "files":
        content = json.loads(notes.read_text())
        content["files"] = {name: [1, 2, "x"] for name in content["files"]}
        damage = json.dumps(content)
    notes.write_text(damage)
    assert len(kv.data.load(clean_folder, "train")) == 20
    assert len(checked) == 40


def test_without_a_cache_folder(clean_folder, checked, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder can be made in a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    for _ in range(2):
        assert len(kv.data.load(clean_folder, "train")) == 20
    assert len(checked) == 40


def test_says_that_it_checks_many(clean_folder, monkeypatch, capsys):
    monkeypatch.setattr(verdicts, "_MANY", 5)
    kv.data.load(clean_folder)
    assert "Checking 20 images" in capsys.readouterr().err
    kv.data.load(clean_folder)
    assert "Checking" not in capsys.readouterr().err


def test_what_tensorflow_refuses_pillow_may_read(clean_folder, monkeypatch, save_image):
    from kvision.data.sources import image_files

    monkeypatch.setattr(image_files, "_decoded_sizes", lambda paths, decoder: [None] * len(paths))
    dataset = kv.data.load(clean_folder, "train")
    assert sorted(int(e["image"][0, 0, 0]) for e in dataset) == [*range(10), *range(100, 110)]


def test_sizes_are_upright_and_remembered(tmp_path, save_image, checked):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    names = ["a/plain.png", "a/turned.jpg", "a/turned.webp", "a/turned.tif"]
    for name in names:
        save_image(tmp_path / name, **({"exif": exif} if "turned" in name else {}))
    for _ in range(2):
        files = verdicts.check_folder(str(tmp_path), names)
        assert [file.size for file in files] == [(24, 32), (32, 24), (32, 24), (32, 24)]
        assert [file.turned for file in files] == [False, True, True, True]
    assert len(checked) == 4
