"""500 damaged files: each is read soundly, or named in an error, soon and without much memory."""

import json
import re
import resource
import shutil
import signal
import warnings

import numpy as np
import pytest
from PIL import Image

import kvision as kv

SEED, INPUTS = 20261126, 50  # of each of ten seeds
SECONDS, MEMORY = 30, 2**31
EXTREMES = ["-1", "0", "1e400", "NaN", "1" + "0" * 400, "999999999999", '"x"', "[]", "{}", "null"]


def _coco():
    box = {"image_id": 1, "category_id": 1, "bbox": [4, 3, 20, 15], "area": 300, "iscrowd": 0}
    polygon = box | {"id": 1, "segmentation": [[4, 3, 24, 3, 24, 18, 4, 18]]}
    runs = box | {"id": 2, "segmentation": {"size": [30, 40], "counts": [600, 300, 300]}}
    return {
        "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [polygon, runs],
    }


def _voc():
    box = "<bndbox><xmin>4</xmin><ymin>3</ymin><xmax>24</xmax><ymax>18</ymax></bndbox>"
    size = "<size><width>40</width><height>30</height><depth>3</depth></size>"
    return f"<annotation>{size}<object><name>cat</name>{box}</object></annotation>"


@pytest.fixture(scope="module")
def folders(tmp_path_factory, digits_run):
    """`{kind: (folder, the file in it that is damaged, function that reads it)}`."""
    root = tmp_path_factory.mktemp("sound")
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype("uint8")

    def file(path, content):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            (root / path).write_text(content)
        else:
            Image.fromarray(content).save(root / path)

    for kind in ("json", "csv"):
        file(f"{kind}/a.png", pixels)
    file("json/a.json", json.dumps(_coco()))
    file("csv/a.csv", "image,xmin,ymin,xmax,ymax,label\na.png,4,3,24,18,cat\na.png,1,2,9,9,dog\n")
    file("xml/JPEGImages/a.png", pixels)
    file("xml/Annotations/a.xml", _voc())
    for ending in ("png", "jpg", "gif", "tif", "bmp", "webp"):
        file(f"{ending}/cat/a.{ending}", pixels)
        file(f"{ending}/cat/b.png", pixels)
    for name in "ab":
        file(f"mask/images/{name}.png", pixels)
        file(f"mask/masks/{name}.png", pixels[..., 0] % 3)
    (root / "npz").mkdir()
    np.savez(root / "npz" / "a.npz", x=pixels[None, :8, :8].repeat(4, 0), y=np.arange(4) % 2)
    for name in ("model.keras", "model_int8.tflite"):
        (root / name).mkdir()
        shutil.copy(digits_run / name, root / name / name)
    damaged = {"xml": "Annotations/a.xml", "mask": "masks/a.png", "npz": "a.npz"}
    damaged |= {kind: f"a.{kind}" for kind in ("json", "csv")}
    damaged |= {kind: f"cat/a.{kind}" for kind in ("png", "jpg", "gif", "tif", "bmp", "webp")}
    damaged |= {name: name for name in ("model.keras", "model_int8.tflite")}
    return {kind: (root / kind, name, _reader(kind, name)) for kind, name in damaged.items()}


def _reader(kind, name):
    def model(folder):
        outputs = kv.export.load(folder / name).predict(np.zeros((1, 32, 32, 1), "uint8"))
        return [{"scores": outputs}]

    def data(folder):
        place = folder / name if kind in ("json", "csv", "npz") else folder
        options = {"annotations": "instances"} if kind == "json" else {}
        examples = []
        for split in kv.data.load(place, **options).values():
            examples += list(split)
        return examples

    return model if kind.startswith("model") else data


def damage(content, random, is_text):
    """The content with one to three changes, and what they were."""
    content, recipe = bytearray(content), []
    for _ in range(int(random.integers(1, 4))):
        change = str(
            random.choice(["flip", "cut", "drop", "twice", "number" if is_text else "flip"])
        )
        place = int(random.integers(max(1, len(content))))
        length = int(random.integers(1, 40))
        if change == "flip" and content:
            content[place] ^= 1 << int(random.integers(8))
        elif change == "cut":
            del content[place:]
        elif change == "drop":
            del content[place : place + length]
        elif change == "twice":
            content[place:place] = content[place : place + length]
        elif numbers := list(re.finditer(rb"-?\d+", content)):
            found = numbers[int(random.integers(len(numbers)))]
            content[found.start() : found.end()] = random.choice(EXTREMES).encode()
        recipe.append((change, place, length))
    return bytes(content), recipe


def check(examples):
    """Whether everything that is served is finite and in its range."""
    for example in examples:
        for name, value in example.items():
            parts = value if isinstance(value, dict) else {name: value}
            for key, part in parts.items():
                numbers = np.asarray(part, "float64")
                assert np.isfinite(numbers).all(), f"{key} is not finite"
                assert key != "bbox" or ((numbers >= 0) & (numbers <= 1)).all(), "a box is outside"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEED, SEED + 10))
def test_damaged_files(folders, tmp_path, monkeypatch, seed):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    random = np.random.default_rng(seed)
    faults, refused = [], 0

    def too_long(*_):
        raise TimeoutError(f"it took {SECONDS} seconds")

    before, left = signal.signal(signal.SIGALRM, too_long), signal.alarm(0)
    try:
        for number in range(INPUTS):
            kind = str(random.choice(list(folders)))
            sound, name, read = folders[kind]
            folder = tmp_path / f"{number}"
            shutil.copytree(sound, folder)
            content, recipe = damage(
                (folder / name).read_bytes(), random, kind in ("json", "csv", "xml")
            )
            (folder / name).write_bytes(content)
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            signal.alarm(SECONDS)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    check(read(folder))
            except (ValueError, FileNotFoundError) as error:
                refused += 1
                if not any(
                    word in str(error) for word in (folder.name, folder.joinpath(name).name)
                ):
                    faults.append(f"{number} {kind} {recipe}: does not name the file: {error}")
            except Exception as error:
                faults.append(f"{number} {kind} {recipe}: {type(error).__name__}: {error}"[:300])
            finally:
                signal.alarm(0)
            more = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory)
            if more > MEMORY:
                faults.append(f"{number} {kind} {recipe}: took {more / 1e9:.1f} GB")
            shutil.rmtree(folder)
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.alarm(left)  # that of the whole run
    print(f"seed {seed}: {INPUTS} inputs, {refused} refused")
    assert not faults, f"seed {seed}:\n" + "\n".join(faults)
    assert 0.1 * INPUTS < refused < INPUTS
