"""What a kill at any moment would leave on the disk, without killing anyone."""

import contextlib
import os
import shutil

import pytest

CHANGES = ((os, "replace"), (os, "mkdir"), (os, "link"), (os, "unlink"), (shutil, "rmtree"))


@contextlib.contextmanager
def moments_of(folder, copies):
    """Copies a folder before each thing that the block does to it, wherever the copy is a new one.

    A process that is killed leaves what was there between two such things. Half-written content is
    all in folders `.partial-*`: of states that differ in those alone, one is kept.

    Args:
        folder: the folder that is watched.
        copies: a folder for the copies.

    Yields:
        The list of copies, to be read when the block has ended.
    """
    found, seen = [], set()

    def copy(half=False):
        signature = tuple(sorted(_signature(folder))), half
        if folder.exists() and signature not in seen:
            seen.add(signature)
            found.append(copies / f"moment-{len(found)}")
            shutil.copytree(folder, found[-1])

    def watched(change):
        def call(path, *arguments, **options):
            inside = os.path.abspath(os.fspath(path)).startswith(str(folder))
            if inside and not options.get("dir_fd"):
                copy()
                if change is rmtree and os.path.isdir(path):
                    for name in sorted(os.listdir(path))[::2]:  # half of it is gone
                        whole = os.path.join(path, name)
                        (rmtree if os.path.isdir(whole) else unlink)(whole)
                    copy(half=True)
            return change(path, *arguments, **options)

        return call

    rmtree, unlink = shutil.rmtree, os.unlink
    with pytest.MonkeyPatch.context() as patch:
        for module, name in CHANGES:
            patch.setattr(module, name, watched(getattr(module, name)))
        yield found
    copy()


def _signature(folder):
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        if relative.parts[0].startswith(".partial-") or ".partial-" in str(relative):
            yield ".partial-", 0
        elif path.is_file():
            yield str(relative), path.stat().st_mtime_ns
        else:
            yield str(relative), 0
