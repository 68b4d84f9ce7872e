"""What TensorFlow and Keras say that is not for people: the one place that silences it."""

import contextlib
import os
import re
import sys
import tempfile
import threading
import warnings

_NOISE = re.compile(
    r"WARNING: All log messages before absl|[IW]\d{4} [\d:.]+ |INFO: Created TensorFlow Lite|"
    r"E\d{4} [\d:.]+ .*(cuInit|Unable to register cu)|\s*$"
)
_LOCK = threading.RLock()


def is_noise(line):
    """Whether a line on standard error is one of TensorFlow's start-up lines, no one's error."""
    return bool(_NOISE.match(line))


@contextlib.contextmanager
def quietly():
    """Imports TensorFlow, Keras and what stands on them without TensorFlow's start-up lines.

    Everything else that is said meanwhile is said afterwards: errors, warnings, advice. With
    `KVISION_DEBUG` set, nothing is held back. What is printed from then on may hold letters that
    the terminal does not know: they are escaped, as on standard error.

    Example:

    ```python
    from kvision.quiet import quietly

    with quietly():
        import keras
    ```
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    with without_noise():
        yield
        if "tensorflow" in sys.modules:  # which looks for devices later, and speaks then
            sys.modules["tensorflow"].config.list_physical_devices()


@contextlib.contextmanager
def without_noise():
    """Holds standard error back, C++'s too, and says at the end what of it is no noise."""
    if os.environ.get("KVISION_DEBUG") or sys.stderr is None:  # which was closed
        yield
        return
    with _LOCK, tempfile.TemporaryFile() as said:
        sys.stderr.flush()
        usual = os.dup(2)
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(usual, 2)
            os.close(usual)
            said.seek(0)
            lines = said.read().decode(errors="replace").splitlines(keepends=True)
            sys.stderr.write("".join(line for line in lines if not is_noise(line)))


def ignore_shuffle_warning():
    """Keras 3.15 warns at every `fit` of a `tf.data.Dataset` that its default does nothing."""
    warnings.filterwarnings("ignore", r"`shuffle=True` was passed.*tf\.data", UserWarning)
