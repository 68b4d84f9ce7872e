"""Locks that die with the process that holds them."""

import contextlib
import functools
import os

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_HELD = set()  # descriptors, which a fork of this process gets too, and would keep the locks by


@functools.cache
def _let_forks_go():
    """From now on, forks of this process hold none of its locks."""
    os.register_at_fork(after_in_child=lambda: [release(each) for each in list(_HELD)])


@contextlib.contextmanager
def held(folder):
    """Holds the lock of a folder. Where the disk knows no locks, it does nothing.

    Args:
        folder: an existing folder.

    Raises:
        BlockingIOError: where another process, or another part of this one, holds it.
    """
    descriptor = acquire(folder)
    try:
        yield
    finally:
        release(descriptor)


def acquire(folder):
    """Takes the lock of a folder; what it returns goes to `release`. Raises as `held` does."""
    if fcntl is None:
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:  # some network disks
        os.close(descriptor)
        return None
    _let_forks_go()
    _HELD.add(descriptor)
    return descriptor


def release(descriptor):
    """Gives a lock back that `acquire` took."""
    if descriptor is not None:
        _HELD.discard(descriptor)
        os.close(descriptor)


def is_held(folder):
    """Whether a process holds the lock of a folder."""
    try:
        release(acquire(folder))
    except BlockingIOError:
        return True
    return False
