"""The process that converts, from the side of who asks: started once, and kept while it is used.

To start Python and to load TensorFlow takes several times as long as to convert a small network.
`convert_child.py` therefore loads it once and lets a fork of itself do each job.
"""

import atexit
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

_SCRIPT = Path(__file__).with_name("convert_child.py")
_LOCK = threading.RLock()
_running = None  # the process, what it says, and who started it where


def start():
    """Starts the process unless it runs, so that it is ready when there is a job for it."""
    global _running
    with _LOCK:
        # A fork of this process must not take the answers that this one waits for; and what a job
        # is about may have come to lie on another path.
        known = os.getpid(), sys.path[:]
        if _running and _running[2] == known and _running[0].poll() is None:
            return
        stop()
        environment = {key: value for key, value in os.environ.items() if key != "TF_CONFIG"}
        environment.update(
            KERAS_BACKEND="tensorflow",
            CUDA_VISIBLE_DEVICES="-1",  # the caller's training may hold all of the GPU's memory
            TF_CPP_MIN_LOG_LEVEL="2",
            OPENBLAS_NUM_THREADS="1",  # a process of several threads cannot be forked safely
            PYTHONPATH=os.pathsep.join(filter(None, sys.path)),
        )
        # -P: otherwise this folder's modules would hide others of their names.
        said = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        process = subprocess.Popen(
            [sys.executable, "-P", str(_SCRIPT)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
        )
        _running = process, said, known


def run(job):
    """Runs a job, as `convert_child.py` describes it, and waits for it.

    Args:
        job: the path of the job's file. What the job says is written beside it.

    Returns:
        The exit status, negative for the signal that ended it, and what it said, a string.
    """
    said = Path(job).with_suffix(".said")
    line = json.dumps([str(job), str(said)]).encode() + b"\n"
    with _LOCK:
        for _ in range(2):
            start()
            process, complaints, _ = _running
            try:
                answer = _ask(process, line)
                code = int(answer) if answer else process.wait()
            except BaseException:  # nobody waits for the answer any more, and the next would get it
                process.kill()
                process.wait()
                raise
            if answer or code:
                break  # without either it had just ended, as it does when there is nothing to do
        if not answer:
            complaints.seek(0)
            said.write_bytes((said.read_bytes() if said.exists() else b"") + complaints.read())
    return code, said.read_text(encoding="utf-8", errors="replace")


def _ask(process, line):
    try:
        process.stdin.write(line)
        process.stdin.flush()
    except BrokenPipeError:
        return b""
    return process.stdout.readline()


@atexit.register
def stop():
    """Ends the process if it runs."""
    global _running
    with _LOCK:
        if _running and _running[2][0] == os.getpid():
            process, said, _ = _running
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, said):
                with contextlib.suppress(BrokenPipeError):  # a job that it ended before
                    stream.close()
        _running = None
