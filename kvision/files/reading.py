"""The border around every reader of files that others made."""

import contextlib
from pathlib import Path

MEMORY = 2**30  # bytes that any input may take
SWELLING = 32  # and how many times its own size on disk, where that is more


@contextlib.contextmanager
def reading(path, what, advice="Check the file, or make it again."):
    """Turns whatever goes wrong inside into a `ValueError` that names the file.

    Use it once around a whole reader, in place of guesses at what its parser may raise. What the
    operating system refuses (no such file, no permission) passes as it is, and so do warnings that
    were made errors and a `ValueError` that names the file already.

    Args:
        path: the file that is read.
        what: what it should be, to begin the message with ("VOC annotations").
        advice: what to do, a sentence.

    Raises:
        ValueError: where the file cannot be read.
        OSError: where the operating system refuses.

    Example:

    ```python
    import json
    from pathlib import Path

    from kvision.files.reading import reading

    path = Path("classes.json")
    path.write_text('["cat", "dog"]')
    with reading(path, "The class names"):
        names = json.loads(path.read_text())
    ```
    """
    try:
        yield
    except Exception as error:
        refused = isinstance(error, Warning) or (
            isinstance(error, OSError) and error.errno is not None
        )
        names_file = isinstance(error, ValueError) and Path(path).name in str(error)
        if refused or names_file:
            raise
        said = str(error) or type(error).__name__
        if isinstance(error, KeyError):
            said = f"there is no {said}"
        said = said if len(said) <= 400 else f"{said[:400]} ..."
        raise ValueError(f"{what} {path} cannot be read: {said.rstrip('.')}. {advice}") from error


def check_memory(path, needed, what):
    """Raises `ValueError` where reading a file would take memory out of all proportion.

    Call it before anything is allocated, with what the file's header says.

    Args:
        path: the file.
        needed: bytes that its content will take.
        what: what takes them, to begin the message with ("The picture").
    """
    allowed = max(MEMORY, SWELLING * Path(path).stat().st_size)
    if needed > allowed:
        raise ValueError(
            f"{what} in {path} must fit into {allowed / 1e9:.2f} GB of memory ({SWELLING} times "
            f"the file's size, at least {MEMORY / 1e9:.2f} GB). Received: one that takes "
            f"{needed / 1e9:.4g} GB. Make it smaller, or leave the file out."
        )
