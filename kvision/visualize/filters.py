"""What the first layer looks for."""

import numpy as np

from kvision.visualize.figure import INK, new_figure

GREY, FRAME = 0.5, 0.4  # a weight of 0, and what parts white weights from the white between
MOST_CHANNELS = 8  # kernels of more channels are drawn as their mean


def filters(model, layer=None, columns=None, common_scale=False):
    """The filters of a model's first convolution, in a grid.

    Use it to see whether training made edges and colours of the random start. Mid-grey is a weight
    of 0, brighter is positive. Filters over three channels are drawn in colour, as what they look
    for in red, green and blue, also where the model turns the channels round before them
    (`kvision.layers.ReverseChannels`); filters over one channel, and depthwise ones, in grey. Of
    two, or four to eight channels there is one grey picture each, below one another; of more, their
    mean.

    Args:
        model: a Keras model with a 2-D convolution, found by its kernel of four axes, also inside
            nested models.
        layer: name of another convolution to draw. Defaults to the first.
        columns: filters in a row. Defaults to somewhat more columns than rows.
        common_scale: whether brightness compares from filter to filter. By default each has its
            own scale, up to its largest weight, so that weak ones are seen as well.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: where the model has no such convolution, or `columns` is below 1.

    Reference:
        Krizhevsky et al., ImageNet classification with deep convolutional neural networks, 2012,
        Figure 3.

    Example:

    >>> import kvision as kv
    >>> figure = filters(kv.models.MobileNetV2(input_shape=(32, 32, 3)))
    >>> figure.axes[0].get_title()
    'Conv1: 32 filters of 3x3x3'
    """
    if columns is not None and columns < 1:
        raise ValueError(f"`columns` must be at least 1. Received: {columns}")
    kernel, name, reversed_channels = _find(model, layer)
    height, width, channels, count = kernel.shape
    note = "" if channels <= MOST_CHANNELS else ", the mean of their channels"
    if channels == 3 and reversed_channels:
        kernel = kernel[:, :, ::-1]
    kernel = kernel if not note else kernel.mean(axis=2, keepdims=True)
    reach = np.abs(kernel).max(axis=None if common_scale else (0, 1, 2), keepdims=True)
    shades = GREY + GREY * kernel / np.where(reach > 0, reach, 1.0)
    grid = _grid(_tiles(shades), columns)
    inches = min(9.0 / max(grid.shape[:2]), 1 / 48)
    size = (max(grid.shape[1] * inches, 3.0), grid.shape[0] * inches + 0.4)
    figure, axes = new_figure(size=size)
    axis = axes[0, 0]
    axis.set_axis_off()
    axis.imshow(grid, interpolation="nearest")
    number = f"{count} filter{'s' if count > 1 else ''}"
    size = f"{height}x{width}" + (f"x{channels}" if channels > 1 else "")
    axis.set_title(f"{name}: {number} of {size}{note}", fontsize=10, color=INK)
    return figure


def _find(model, wanted):
    """A convolution's kernel as (height, width, channels, filters), its name, and whether its
    channels are in reverse."""
    names, turns = [], 0
    for layer in _layers(model):
        turns += type(layer).__name__ == "ReverseChannels"
        kernel = next((weight for weight in layer.weights if len(weight.shape) == 4), None)
        if kernel is None:
            continue
        names.append(layer.name)
        if wanted in (None, layer.name):
            return _in_order(layer, np.asarray(kernel, "float32")), layer.name, turns % 2
    if wanted is None:
        raise ValueError(
            "`model` must be a built Keras model with a 2-D convolution, that is a layer with a "
            f"kernel of four axes. Received: {getattr(model, 'name', model)!r}, which has none."
        )
    raise ValueError(f"`layer` must be one of {names}. Received: {wanted!r}")


def _layers(model):
    for layer in getattr(model, "layers", []):
        if hasattr(layer, "layers"):
            yield from _layers(layer)
        else:
            yield layer


def _in_order(layer, kernel):
    """The kernel with the axis of its filters last, and a single channel where they do not mix."""
    if "Transpose" in type(layer).__name__:
        return kernel.swapaxes(2, 3)
    if hasattr(layer, "depth_multiplier"):
        return kernel.reshape(*kernel.shape[:2], 1, -1)
    return kernel


def _tiles(shades):
    """Each filter as a framed picture (filters, rows, columns, 3), enlarged to about 48 pixels."""
    height, width, channels, count = shades.shape
    factor = max(1, 48 // max(height, width))
    large = np.moveaxis(shades, -1, 0).repeat(factor, axis=1).repeat(factor, axis=2)
    parts = [large] if channels == 3 else np.split(large.repeat(3, axis=-1), channels, axis=-1)
    framed = np.full((count, len(parts), height * factor + 2, width * factor + 2, 3), FRAME)
    framed[:, :, 1:-1, 1:-1] = np.stack(parts, axis=1)
    apart = np.pad(framed, ((0, 0), (0, 0), (0, 2), (0, 0), (0, 0)), constant_values=1.0)
    return apart.reshape(count, -1, apart.shape[3], 3)[:, :-2]


def _grid(tiles, columns, gap=4):
    """Pictures (filters, rows, columns, 3) side by side on white."""
    count, height, width, _ = tiles.shape
    columns = min(columns or int(np.ceil(np.sqrt(1.5 * count * height / width))), count)
    rows = -(-count // columns)
    cells = np.ones((rows * columns, height + gap, width + gap, 3))
    cells[:count, :height, :width] = tiles
    lines = cells.reshape(rows, columns, *cells.shape[1:]).swapaxes(1, 2)
    return lines.reshape(rows * (height + gap), -1, 3)[:-gap, :-gap]
