"""How much memory there is to keep a data set in."""

import os
import pathlib

_GIBIBYTE = 2**30
_CONTAINER = pathlib.Path("/sys/fs/cgroup")


def available_memory():
    """Bytes that can be had without swapping: what the system or the container leaves free."""
    limits = [_system_memory(), _container_memory()]
    return min(limit for limit in limits if limit is not None)


def _system_memory():
    try:
        for line in pathlib.Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        # Systems that do not say what is free: count on half of what is built in.
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return 4 * _GIBIBYTE


def _container_memory():
    try:
        limit = int((_CONTAINER / "memory.max").read_text("ascii"))
        used = int((_CONTAINER / "memory.current").read_text("ascii"))
        return max(limit - used, 0)
    except (OSError, ValueError):  # no container, no limit ("max"), or another kind of system
        return None
