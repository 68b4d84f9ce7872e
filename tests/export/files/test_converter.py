"""One process converts many files, and what breaks in it is broken for one file alone."""

import io
import json
import os
import signal
import sys
import threading

import keras
import numpy as np
import pytest
from keras import layers

import kvision as kv
from kvision.export.files import convert_child, converter


@pytest.fixture(scope="module")
def model():
    image = keras.Input((4, 4, 3))
    return keras.Model(image, layers.Dense(2)(layers.Flatten()(image)))


def process():
    return converter._running[0].pid


def write(model, folder, name="model"):
    return kv.export.tflite(model, folder / f"{name}.tflite").read_bytes()


def test_one_process_writes_many_files(model, tmp_path):
    first = write(model, tmp_path)
    started = process()
    assert write(model, tmp_path) == first
    assert process() == started


def test_paths_are_relative_to_where_the_caller_is_now(model, tmp_path, monkeypatch):
    first = write(model, tmp_path)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert kv.export.tflite(model, "model.tflite").read_bytes() == first
    assert (tmp_path / "elsewhere" / "model.tflite").is_file()


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="forks where they are safe")
def test_a_crash_of_a_job_is_its_own(model, tmp_path):
    first = write(model, tmp_path)
    started = process()
    image = keras.Input((8, 8, 3))
    x = layers.LSTM(8)(layers.Reshape((8, 24))(image))  # in int8 it ends the converter
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3))
    with pytest.raises(ValueError, match=r"converter ended with signal 11 \(SIGSEGV\)"):
        kv.export.tflite(keras.Model(image, x), tmp_path / "a.tflite", "int8", calibration=images)
    assert write(model, tmp_path) == first
    assert process() == started


STAND_IN = """
import json, os, pathlib, sys, time
for line in sys.stdin:
    job, said = json.loads(line)
    what = pathlib.Path(job).read_text()
    pathlib.Path(said).write_text(f"{what} by {os.getpid()}")
    time.sleep(0.1)
    print(int(what == "fails"), flush=True)
"""


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """Runs a job in a process that only says what the job was, and which process it is."""
    converter.stop()
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    monkeypatch.setattr(converter, "_SCRIPT", tmp_path / "stand_in.py")

    def run(what="something"):
        job = tmp_path / f"{what}.json"
        job.write_text(what)
        code, said = converter.run(job)
        return code, *said.split(" by ")

    yield run
    converter.stop()


def test_jobs_are_answered_by_one_process(ask):
    assert [ask(what)[:2] for what in ("a", "fails", "b")] == [(0, "a"), (1, "fails"), (0, "b")]
    assert {ask(what)[2] for what in "ab"} == {str(process())}


def test_a_process_that_has_ended_is_started_anew(ask):
    *_, first = ask()
    converter._running[0].kill()
    converter._running[0].wait(30)
    code, _, second = ask()
    assert (code, second) == (0, str(process()))
    assert first != second


def test_another_path_wants_another_process(ask, monkeypatch):
    *_, first = ask()
    monkeypatch.setattr("sys.path", [*sys.path, "/elsewhere"])
    assert ask()[2] != first


def test_a_process_that_is_killed_at_work_is_reported(ask, monkeypatch):
    def killed(process, line):
        process.kill()
        return b""

    monkeypatch.setattr(converter, "_ask", killed)
    assert ask() == (-signal.SIGKILL, "")


def test_a_process_that_ends_for_want_of_work_is_asked_again(ask, monkeypatch):
    *_, first = ask()
    asked = converter._ask

    def too_late(process, line):
        monkeypatch.setattr(converter, "_ask", asked)
        process.stdin.close()  # it ends as it does when it waited long enough
        assert process.wait(30) == 0
        return b""

    monkeypatch.setattr(converter, "_ask", too_late)
    code, said, second = ask()
    assert (code, said) == (0, "something")
    assert first != second


def test_who_is_interrupted_leaves_no_answer_behind(ask, monkeypatch):
    ask()

    def interrupted(process, line):
        process.stdin.write(line)
        process.stdin.flush()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(converter, "_ask", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ask("fails")
    assert ask("next")[:2] == (0, "next")


def test_threads_wait_for_each_other(ask):
    answers = []
    names = ["one", "fails", "three"]
    threads = [threading.Thread(target=lambda n=name: answers.append(ask(n))) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == sorted((int(n == "fails"), n, str(process())) for n in names)


def _job(model, folder):
    from kvision.export.files.savedmodel import export_graph
    from kvision.export.tasks import part_of

    export_graph(model, folder / "graph", 1, part_of(kv.tasks.named("classification")))
    job = {"source": str(folder / "graph"), "target": str(folder / "converted")}
    (folder / "job.json").write_text(json.dumps({**job, "quantize": None, "custom": False}))
    return folder / "job.json"


def test_it_ends_when_there_is_nothing_to_do_for_long(monkeypatch):
    reading, writing = os.pipe()
    monkeypatch.setattr(convert_child, "IDLE", 0.01)
    monkeypatch.setattr(convert_child, "_can_fork", lambda: True)
    monkeypatch.setattr(convert_child.signal, "signal", lambda *_: None)
    monkeypatch.setattr(convert_child.gc, "freeze", lambda: None)
    with open(reading, encoding="ascii") as silent:
        monkeypatch.setattr("sys.stdin", silent)
        convert_child.main()
    os.close(writing)


def test_without_forks_it_works_in_its_own_process(model, tmp_path, monkeypatch, capfd):
    job, said = _job(model, tmp_path), tmp_path / "said"
    lines = json.dumps([str(job), str(said)]) + "\n" + json.dumps(["nowhere", str(said)]) + "\n"
    stdin = io.TextIOWrapper(io.BytesIO(lines.encode()))
    monkeypatch.setattr("sys.stdin", stdin)
    monkeypatch.setattr(convert_child, "_can_fork", lambda: False)
    monkeypatch.setattr(convert_child.signal, "signal", lambda *_: None)
    monkeypatch.setattr(convert_child.gc, "freeze", lambda: None)
    convert_child.main()
    assert capfd.readouterr().out.split() == ["0", "1"]
    assert (tmp_path / "converted").stat().st_size > 500
    assert "No such file or directory: 'nowhere'" in said.read_text()
