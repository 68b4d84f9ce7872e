"""Cells of the card's tables."""


def escape(text):
    """A name as it may stand in a cell of Markdown."""
    return text.replace("|", "\\|").replace("\n", " ")


def percent(value):
    """`97.1%`, or a dash for what is not defined."""
    return "–" if value is None else f"{value:.1%}"
