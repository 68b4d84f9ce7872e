"""Text that others wrote, whatever encoding their program took for granted."""

import codecs
import locale
import os
import re
import warnings
from pathlib import Path

# The longer ones first: UTF-32's mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARATION = re.compile(rb"""\s*<\?xml\s[^>]{0,200}?encoding\s*=\s*["']([\w.:-]{1,40})["']""")
# Programs declare the older and write the larger set of characters.
_LARGER = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "big5": "big5hkscs",
}
# Control characters but for the ends of lines and tabs.
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Halves of characters, as JSON may hold them, but for those that stand for bytes of a file's name.
_HALVES = re.compile(r"[\ud800-\udc7f\udd00-\udfff]")
_SHOWN = 60


def read_text(path):
    """The text of a file that others made, without a byte order mark.

    It is UTF-8, or what a byte order mark says. A file that is neither is taken for what programs
    write by default on this computer, or else on Windows in Western Europe; one warning says so.

    Args:
        path: the file.

    Raises:
        ValueError: where it holds zero bytes and so is no text.
        OSError: where it cannot be opened.

    Example:

    ```python
    from pathlib import Path

    from kvision.files.text import read_text

    Path("names.txt").write_text("cat\\ndog\\n", encoding="utf-16")
    names = read_text("names.txt").splitlines()
    ```
    """
    return decode(Path(path).read_bytes(), path)


def decode(content, name):
    """The text in bytes that others wrote; see `read_text`.

    Args:
        content: bytes.
        name: what to call them in the warning, or None for no warning.
    """
    text = _exact(content, name)
    if text is not None:
        return text
    text, encoding = _guessed(content)
    if name is not None:
        first = next(line for line in text.split("\n") if not line.isascii()).strip()
        shown = first if len(first) <= _SHOWN else f"{first[:_SHOWN]} ..."
        warnings.warn(
            f"{readable(name)} is not encoded as UTF-8. It is read as {encoding}, which makes a "
            f"line of it {shown!r}. If that is wrong, save it as UTF-8.",
            stacklevel=3,
        )
    return text


def read_xml(path):
    """The text of an XML file, in the encoding that it declares where Python knows that.

    Python's XML parser knows few encodings; give it text, which it takes whatever is declared.

    Args:
        path: the file.

    Raises:
        ValueError: where the encoding is unknown, or is another than the file says.
        OSError: where it cannot be opened.
    """
    content = Path(path).read_bytes()
    declared = _DECLARATION.match(content.removeprefix(codecs.BOM_UTF8))
    encoding = _known(declared[1].decode("ascii")) if declared else "utf-8"
    for attempt in (encoding, "utf-8", _LARGER.get(encoding, "utf-8")):
        try:
            return content.decode(attempt).removeprefix("\ufeff")
        except UnicodeDecodeError:
            pass
    text = _exact(content, path)
    if text is None:
        said = f"says that it is {encoding}" if declared else "does not say what else it is"
        raise ValueError(f"it is not encoded as UTF-8 and {said}; save it as UTF-8")
    return text


def readable(name):
    """The name of a file as text that can be printed and saved, also where it is no valid UTF-8.

    Args:
        name: a path as Python has it, which holds lone surrogates for such bytes.
    """
    # Each part may have another encoding.
    parts = os.fsencode(_HALVES.sub("?", os.fsdecode(name))).split(b"/")
    return "/".join(_readable(part) for part in parts)


def printable(text):
    """Text of others as a terminal may get it: what would steer the terminal is escaped."""
    return _STEERING.sub(lambda found: ascii(found[0])[1:-1], text)


def check_path(path):
    """Raises `ValueError` where TensorFlow, which knows UTF-8 alone, cannot have a path."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(
            "The path of a model must be valid UTF-8, for TensorFlow takes no other. "
            f"Received: {str(path)!r}. Rename the folder or file."
        ) from None


def _exact(content, name):
    """The text in bytes of a known encoding, or None."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding)  # without it
    if b"\0" in content:
        raise ValueError(f"{readable(name)} must be a text file. Received: one with zero bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _readable(part):
    """A part of a path, whose bytes mean what they are: no name begins with a byte order mark."""
    try:
        return part.decode("utf-8")
    except UnicodeDecodeError:
        return _guessed(part)[0]


def _guessed(content):
    """The text in bytes of an unknown encoding, and which that is supposed to be."""
    for encoding in (locale.getencoding(), "cp1252"):
        try:
            return content.decode(encoding), encoding
        except UnicodeDecodeError:
            pass
    return content.decode("latin-1"), "latin-1"


def _known(name):
    """Python's name of an encoding that an XML file declares."""
    try:
        encoding = codecs.lookup(name).name
        # Who could read the declaration byte by byte has no UTF-16, whatever it says.
        if "<?xml".encode(encoding) != b"<?xml":
            return "utf-8"
    except LookupError:
        raise ValueError(f"its encoding {name!r} is unknown; save it as UTF-8") from None
    return encoding
