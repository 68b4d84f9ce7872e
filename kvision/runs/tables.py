"""Cells of the card's tables."""

import html
import re


def escape(text):
    """Returns a name as it may stand in a cell of Markdown: nothing in it is markup or HTML."""
    text = html.escape(text.replace("\n", " "), quote=False)
    # An underscore between letters is none either.
    return re.sub(r"([\\`*~$|\[\]]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", text)


def measured(value, metric):
    """Returns a figure as a `kvision.tasks.Metric` is read: `97.13%`, `0.214 px`, or a dash."""
    if value is None:
        return "–"
    return f"{value:.2%}" if metric.unit == "%" else f"{value:.3g} {metric.unit}"


def percent(value):
    """Returns `97.1%`, or a dash for what is not defined."""
    return "–" if value is None else f"{value:.1%}"


def print_classes(rows, columns):
    """Prints a table of the classes; counts with commas, shares in percent.

    Args:
        rows: a list of dicts with `name` and the keys of `columns`.
        columns: headings by key.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    table = Table("class", *(Column(head, justify="right") for head in columns.values()))
    for row in rows:
        cells = [row[key] for key in columns]
        table.add_row(
            escape(row["name"]), *(f"{c:,}" if isinstance(c, int) else percent(c) for c in cells)
        )
    Console().print(table)
