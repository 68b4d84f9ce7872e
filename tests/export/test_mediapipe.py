"""MediaPipe Tasks opens what we export, and answers what we answer.

It runs in an environment of its own (`make` builds `.venv-mediapipe`).
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import kvision as kv

CLIENT = Path(__file__).with_name("mediapipe_client.py")


def _stand_ins(python, folder):
    """Empty graphics libraries, where the machine has none.

    MediaPipe's library is linked against OpenGL ES, also where only the processor computes.
    """
    found = (
        "import importlib.util as u; print(*u.find_spec('mediapipe').submodule_search_locations)"
    )
    home = subprocess.run([python, "-c", found], capture_output=True, text=True, check=True).stdout
    library = Path(home.strip()) / "tasks" / "c" / "libmediapipe.so"
    listed = subprocess.run(
        ["nm", "-D", "--undefined-only", library], capture_output=True, text=True
    )
    names = sorted(set(re.findall(r"\b(?:egl|gl)[A-Z]\w*", listed.stdout)))
    source = folder / "graphics.c"
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in names))
    for name in ("libEGL.so.1", "libGLESv2.so.2"):
        command = ["gcc", "-shared", "-fPIC", source, "-o", folder / name, f"-Wl,-soname,{name}"]
        subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def classify(tmp_path_factory):
    """Classifies images with a file by MediaPipe: a list of `[label, score, index]` for each."""
    default = Path(__file__).parents[2] / ".venv-mediapipe" / "bin" / "python"
    python = os.environ.get("KVISION_MEDIAPIPE_PYTHON", str(default))
    if not Path(python).is_file():
        pytest.skip(f"there is no environment with MediaPipe: {python} (`make test` makes it)")
    folder = tmp_path_factory.mktemp("mediapipe")
    environment = dict(os.environ)

    def run(path, images):
        np.save(folder / "images.npy", images, allow_pickle=False)
        command = [python, CLIENT, path, folder / "images.npy"]
        result = subprocess.run(
            command, capture_output=True, text=True, env=environment, check=False
        )
        missing = re.search(r"lib(EGL|GLESv2)\S*: (cannot open|file too short)", result.stderr)
        if missing and "LD_LIBRARY_PATH" not in environment:
            if not (shutil.which("gcc") and shutil.which("nm")):
                pytest.skip(f"MediaPipe lacks a library, and there is no gcc: {missing[0]}")
            environment["LD_LIBRARY_PATH"] = str(_stand_ins(python, folder))
            return run(path, images)
        assert result.returncode == 0, result.stderr[-3000:]
        return json.loads(result.stdout)

    return run


@pytest.mark.parametrize("kind", ["float32", "float16", "dynamic", "int8"])
def test_same_label_and_score(kind, classify, exported, tiny, digits):
    images = digits.test[:20]
    model = kv.export.load(exported(kind))
    scores = model.predict(images)
    answers = classify(exported(kind), images)
    assert len(answers) == 20
    if kind == "float32":
        # Not only our reader and MediaPipe agree on the normalisation, but the model does.
        wanted = tiny.predict(images.astype("float32"), verbose=0).max(1)
        assert [answer[0][1] for answer in answers] == pytest.approx(wanted.tolist(), abs=1e-4)
    assert len({answer[0][0] for answer in answers}) > 3
    for answer, row in zip(answers, scores, strict=True):
        label, score, index = answer[0]
        assert index == row.argmax()
        assert label == model.labels[index]
        assert score == pytest.approx(row[index], abs=1e-5)
        assert len(answer) == 10
        assert {label: pytest.approx(score, abs=1e-5) for label, score, _ in answer} == dict(
            zip(model.labels, row.tolist(), strict=True)
        )
