"""Files and folders that appear under their names only when they are complete and on the disk."""

import contextlib
import errno
import os
import shutil
import tempfile
from pathlib import Path

from kvision.files.locking import held, is_held

_PREFIX = ".partial-"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_REFUSED = (*_FULL, errno.EACCES, errno.EPERM, errno.EIO)


@contextlib.contextmanager
def writing(path):
    """Gives a place to write what is to appear at `path`, and puts it there in one step.

    What was at `path` stays as it is until the new content is complete and has reached the disk,
    and for good if anything fails. A process that is killed leaves a folder `.partial-*` behind,
    which `clear_partial` removes.

    Args:
        path: a file or folder, which may exist. Its folder is made if need be.

    Yields:
        A path of the same name in a folder of its own; other files may be written beside it.

    Raises:
        OSError: where the disk is full or cannot be written to, in a sentence that says so.

    Example:

    ```python
    from kvision.files.writing import writing

    with writing("written/model.keras") as partial:
        model.save(partial)
    ```
    """
    path = Path(path)
    with _said_of(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        workspace = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=path.parent))
    try:
        with _said_of(path), held(workspace):
            yield workspace / path.name
            put(workspace / path.name, path)
    finally:
        shutil.rmtree(workspace, ignore_errors=True)


def check_writable(folder):
    """Makes a folder if need be and tries whether files can be written in it, to know it early.

    Raises:
        OSError: where they cannot, in a sentence that says why.
    """
    with _said_of(Path(folder) / "*"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder, prefix=_PREFIX) as file:
            file.write(bytes(2**16))
            file.flush()
            os.fsync(file.fileno())


@contextlib.contextmanager
def _said_of(path):
    """Says in one sentence what the disk refuses."""
    try:
        yield
    except Exception as error:
        number = getattr(error, "errno", None)
        if number not in _REFUSED:  # TensorFlow says in an error of its own what the system said
            number = next((each for each in _FULL if os.strerror(each) in str(error)), None)
        if number is None:
            raise
        said = os.strerror(number)
        raise OSError(
            number,
            f"{path} cannot be written ({said}). Make room or choose another folder, and start "
            "again: what is there is whole.",
        ) from error


def put(source, path):
    """Moves a complete file or folder to `path`, durably; what was there goes.

    Args:
        source: a file or folder on the same disk.
        path: its new place. A file is replaced in one step; of a folder the old one is moved aside
            first.
    """
    source, path = Path(source), Path(path)
    sync(source)
    older = None
    if path.is_dir() and not path.is_symlink():
        older = source.with_name(f"{source.name}.older")
        os.replace(path, older)
    os.replace(source, path)
    sync(path.parent, inside=False)
    if older:
        shutil.rmtree(older)


def link(source, path):
    """Puts a file at `path` without copying it, or copies it where the disk knows no links."""
    try:
        os.link(source, path)
    except OSError:
        shutil.copy2(source, path)


def sync(path, inside=True):
    """Waits until a file, or a folder with all that is inside, has reached the disk."""
    path = Path(path)
    if inside and path.is_dir():
        for part in path.iterdir():
            sync(part)
    if os.name != "posix" and path.is_dir():
        return  # Windows opens no folders
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def clear_partial(folder):
    """Removes what processes that were killed left half-written in a folder."""
    for partial in Path(folder).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # it is gone meanwhile, or someone else's
            if not is_held(partial):
                shutil.rmtree(partial, ignore_errors=True)
