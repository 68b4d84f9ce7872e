"""Whether a `.keras` file can be opened without taking all of the memory."""

import json
import zipfile

from kvision.files.reading import check_memory

# What says in a layer's options how many weights it has, at least.
_COUNTS = ("filters", "units", "input_dim", "output_dim", "num_heads", "key_dim", "kernel_size")


def check_keras_file(path):
    """Raises an error unless a `.keras` file is what it seems to be.

    Args:
        path: the file.

    Raises:
        ValueError: where it unpacks to far more than its size, or has a layer with more weights
            than the file has bytes.
        zipfile.BadZipFile, KeyError: where it is no such file; for `reading` around this.
    """
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
        check_memory(path, size, "What is packed")
        config = json.loads(archive.read("config.json"))
    for name, count in _counts(config):
        if count > size:
            raise ValueError(
                f"A layer in {path} must have weights in the file, which holds {size:,} bytes. "
                f"Received: {name}={count:,}"
            )


def _counts(config):
    """All numbers in a configuration that are counts of weights, with their names."""
    waiting = [(None, config)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.items()
        elif isinstance(value, list):
            waiting += [(name, item) for item in value]
        elif name in _COUNTS and isinstance(value, (int, float)):
            yield name, value
