"""What is written appears whole or not at all, and old half-made things are cleared."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from kvision.files.locking import held, is_held
from kvision.files.writing import check_writable, clear_partial, link, writing


def test_a_file_appears_when_complete(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with writing(path) as partial:
        partial.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_what_fails_leaves_the_old_one(tmp_path):
    (tmp_path / "a.txt").write_text("old")

    def fail_halfway(partial):
        partial.write_text("half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), writing(tmp_path / "a.txt") as partial:
        fail_halfway(partial)
    assert (tmp_path / "a.txt").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_replaces_a_folder(tmp_path):
    for text in ("one", "two"):
        with writing(tmp_path / "model") as partial:
            partial.mkdir()
            (partial / f"{text}.txt").write_text(text)
    assert [p.name for p in (tmp_path / "model").iterdir()] == ["two.txt"]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_killed_process_leaves_what_is_cleared(tmp_path):
    code = (
        "import sys, time; from kvision.files.writing import writing\n"
        "with writing(sys.argv[1]) as partial:\n"
        "    partial.write_text('half'); print('ready', flush=True); time.sleep(60)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "a.txt"], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "ready\n"
    clear_partial(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1  # of a process that lives
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    clear_partial(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_lock_is_held_once(tmp_path):
    assert not is_held(tmp_path)
    with held(tmp_path):
        assert is_held(tmp_path)
        with pytest.raises(BlockingIOError), held(tmp_path):
            pass
    assert not is_held(tmp_path)


def test_a_link_is_the_file_or_its_copy(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError("this disk knows no links")

    (tmp_path / "a.txt").write_text("content")
    link(tmp_path / "a.txt", tmp_path / "b.txt")
    assert (tmp_path / "a.txt").samefile(tmp_path / "b.txt")
    monkeypatch.setattr(os, "link", refuse)
    link(tmp_path / "a.txt", tmp_path / "c.txt")
    assert not (tmp_path / "a.txt").samefile(tmp_path / "c.txt")
    assert (tmp_path / "c.txt").read_text() == "content"


def test_what_the_disk_refuses_is_said_in_a_sentence(tmp_path, monkeypatch):
    def refuse(number):
        def call(*arguments, **options):
            raise OSError(number, "")

        return call

    check_writable(tmp_path / "new" / "folder")
    assert list((tmp_path / "new").iterdir()) == [tmp_path / "new" / "folder"]
    for number, said in ((errno.ENOSPC, "No space left"), (errno.EROFS, "Read-only file system")):
        monkeypatch.setattr("tempfile.TemporaryFile", refuse(number))
        with pytest.raises(
            OSError, match=rf"cannot be written \({said}.+and start again"
        ) as caught:
            check_writable(tmp_path / "folder")
        assert caught.value.errno == number
        with pytest.raises(OSError, match=rf"a.txt cannot be written \({said}"):
            write(tmp_path / "a.txt", refuse(number))
    with pytest.raises(OSError, match="^.Errno 2. mine$"):  # not of the disk: as it is
        write(tmp_path / "a.txt", lambda partial: open_nothing())
    with pytest.raises(OSError, match="a.txt cannot be written"):
        write(tmp_path / "a.txt", lambda partial: fail_as_tensorflow())
    assert not (tmp_path / "a.txt").exists()


def write(path, function):
    with writing(path) as partial:
        function(partial)


def fail_as_tensorflow():
    raise RuntimeError("{{node SaveV2}} part-00000; No space left on device [Op:SaveV2]")


def open_nothing():
    raise FileNotFoundError(errno.ENOENT, "mine")


def test_a_fork_does_not_keep_a_lock(tmp_path):
    code = """
import os, signal, sys
from kvision.files.locking import held, is_held
ready, told = os.pipe()
with held(sys.argv[1]):
    child = os.fork()
    if not child:
        os.write(told, b"1")
        signal.pause()
    os.read(ready, 1)
    assert is_held(sys.argv[1])
print(is_held(sys.argv[1]))
os.kill(child, signal.SIGKILL)
"""
    command = [sys.executable, "-c", code, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_what_another_clears_meanwhile_is_no_error(tmp_path, monkeypatch):
    (tmp_path / ".partial-1").mkdir()

    def gone(folder):
        raise FileNotFoundError(folder)

    monkeypatch.setattr("kvision.files.writing.is_held", gone)
    clear_partial(tmp_path)
