"""Class names that others gave: one line of text that can be printed, saved and drawn."""

import unicodedata

_LONGEST = 500
# Control characters (line breaks, terminal escapes), halves of characters, separators of lines.
_REFUSED = ("Cc", "Cs", "Zl", "Zp")


def check_names(names, what="The class names"):
    """Raises `ValueError` unless every name is one line of printable text.

    Args:
        names: a list of class names.
        what: whose they are, to begin the message with.

    Returns:
        The names, a list.
    """
    names = list(names)
    for position, name in enumerate(names):
        if reason := _fault(name):
            shown = ascii(name) if len(str(name)) <= 60 else f"{ascii(name[:60])} ..."
            raise ValueError(
                f"{what} must each be one non-empty line of printable text, of at most {_LONGEST} "
                f"characters. Received: {shown} at position {position}, which {reason}. Rename it."
            )
    return names


def check_different(names, what="The class names"):
    """Raises `ValueError` where two of some names are the same: what is kept by name would merge.

    Args:
        names: a list of names.
        what: whose they are, to begin the message with.
    """
    first = {}
    for position, name in enumerate(names):
        if first.setdefault(name, position) != position:
            raise ValueError(
                f"{what} must all be different. Received: {name!r} at the positions "
                f"{first[name]} and {position}. Rename one."
            )


def _fault(name):
    if not isinstance(name, str):
        return "is no text"
    if not name.strip():
        return "is empty"
    if len(name) > _LONGEST:
        return f"has {len(name):,} characters"
    strange = next((c for c in name if unicodedata.category(c) in _REFUSED), None)
    return None if strange is None else f"has the character {ascii(strange)}"
