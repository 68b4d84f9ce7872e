"""Cells of the card's tables."""

import html
import re


def escape(text):
    """A name as it may stand in a cell of Markdown: nothing in it is markup or HTML."""
    text = html.escape(text.replace("\n", " "), quote=False)
    # An underscore between letters is none either.
    return re.sub(r"([\\`*~$|\[\]]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", text)


def percent(value):
    """`97.1%`, or a dash for what is not defined."""
    return "–" if value is None else f"{value:.1%}"
