"""The look that all figures share."""

INK, MUTED, GRID = "#1f2933", "#66727f", "#e3e8ee"
BLUE, ORANGE, RED, GREEN = "#2468b4", "#e07b1a", "#c62f3b", "#2a8a57"


def new_figure(rows=1, columns=1, size=(6.0, 4.0), **options):
    """A figure without pyplot, so that no window, backend or global state is involved.

    Returns:
        `(figure, axes)`, axes an array of shape (rows, columns).
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=144, layout="constrained", facecolor="white")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.spines[["left", "bottom"]].set_color(MUTED)
        axis.tick_params(colors=INK, labelsize=9)
    return figure, axes


def shorten(name, length=18):
    """A name as it may be drawn: not too long, and no formula where it has dollar signs."""
    return cut(name, length).replace("$", r"\$")


def cut(name, length=18):
    """A name of at most `length` letters."""
    return name if len(name) <= length else name[: length - 1] + "…"
