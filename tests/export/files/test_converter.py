"""One process converts many files, and what breaks in it is broken for one file alone."""

import io
import json
import os
import signal
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


def test_a_process_that_has_ended_is_started_anew(model, tmp_path):
    first = write(model, tmp_path)
    started = process()
    os.kill(started, signal.SIGKILL)
    assert write(model, tmp_path) == first
    assert process() != started


def test_a_process_that_is_killed_at_work_is_reported(model, tmp_path, monkeypatch):
    def ask(process, line):
        process.kill()
        return b""

    monkeypatch.setattr(converter, "_ask", ask)
    with pytest.raises(ValueError, match=r"converter ended with signal 9 \(SIGKILL\)"):
        write(model, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_process_that_ends_for_want_of_work_is_asked_again(model, tmp_path, monkeypatch):
    first = write(model, tmp_path)
    ask = converter._ask

    def too_late(process, line):
        monkeypatch.setattr(converter, "_ask", ask)
        process.stdin.close()  # it ends as it does when it waited long enough
        assert process.wait(30) == 0
        return b""

    monkeypatch.setattr(converter, "_ask", too_late)
    assert write(model, tmp_path) == first


def test_who_is_interrupted_leaves_no_answer_behind(model, tmp_path, monkeypatch):
    first = write(model, tmp_path)
    started = process()

    def interrupted(process, line):
        process.stdin.write(line)
        process.stdin.flush()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(converter, "_ask", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write(model, tmp_path)
    assert write(model, tmp_path) == first
    assert process() != started


def test_threads_wait_for_each_other(model, tmp_path):
    folders = [tmp_path / str(index) for index in range(3)]
    for folder in folders:
        write(model, folder)  # what a model is traced with is no matter of threads
    jobs = [_job(model, folder) for folder in folders]
    codes = {}
    threads = [
        threading.Thread(target=lambda job=job: codes.update({job: converter.run(job)[0]}))
        for job in jobs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(codes.values()) == [0, 0, 0]
    files = {(job.parent / "converted").read_bytes() for job in jobs}
    assert len(files) == 1


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
