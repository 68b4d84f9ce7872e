"""From the numbers and colours in mask files to class indices."""

import dataclasses

import numpy as np

from kvision.data.sources.masks.mask_files import pack, unpack
from kvision.ops.masks import VOID

MOST_CLASSES = VOID
_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class LabelTable:
    """Which class each value and each colour of the masks is.

    Attributes:
        names: the class names in the order of their indices.
        colors: (red, green, blue) of each class, or None.
        values: dict of value in an index mask to class index, or 255 for void.
        by_colour: dict of (red, green, blue) in a coloured mask to class index, or 255 for void.
    """

    names: tuple
    colors: tuple | None
    values: dict
    by_colour: dict

    def unknown(self, mask):
        """The reason not to serve a checked mask: values that mean nothing; None if there is none.

        Args:
            mask: a `MaskFile`.
        """
        if mask.lossy and self.values.get(VOID) == VOID:
            return "a black and white JPEG among masks with other values; save it as PNG"
        strange = sorted(set(mask.values) - self._keys(mask.coloured, mask.bits).keys())
        if not strange:
            return None
        shown = [str(unpack(value)) if mask.coloured else str(value) for value in strange[:_SHOWN]]
        more = f" and {len(strange) - _SHOWN} more" if len(strange) > _SHOWN else ""
        what = "colour" if mask.coloured else "label value"
        hint = ""
        if mask.coloured and self.is_grey():
            hint = "; pass `colors={'name': (red, green, blue)}` or add a label_colors.txt"
        return f"unknown {what}{'s' if strange[1:] else ''} {', '.join(shown)}{more}{hint}"

    def is_grey(self):
        """Whether no colour but greys means anything."""
        return all(len(set(colour)) == 1 for colour in self.by_colour)

    def classes_in(self, mask):
        """The class indices that occur in a checked mask, as a set."""
        keys = self._keys(mask.coloured, mask.bits)
        return {keys[value] for value in mask.values} - {VOID}

    def look_up(self, pixels, coloured):
        """Class indices of the values of a mask.

        Args:
            pixels: array (height, width), as `read_mask` gives.
            coloured: whether these are packed colours.

        Returns:
            uint8 array (height, width); what is unknown is void.
        """
        keys = self._keys(coloured, pixels.dtype == bool)
        if pixels.dtype.itemsize == 1:
            table = np.full(256, VOID, "uint8")
            for value, index in keys.items():
                if 0 <= value < 256:
                    table[value] = index
            return table[pixels.astype("uint8")]
        numbers = np.array(sorted(keys))
        indices = np.array([keys[number] for number in numbers.tolist()], "uint8")
        place = np.minimum(np.searchsorted(numbers, pixels), len(numbers) - 1)
        return np.where(numbers[place] == pixels, indices[place], np.uint8(VOID))

    def _keys(self, coloured, bits=False):
        if bits and 1 not in self.values and self.values.get(VOID) != VOID:
            return {**self.values, 1: self.values[VOID]}  # the white of a black and white folder
        if not coloured:
            return self.values
        return {int(pack(colour)): index for colour, index in self.by_colour.items()}


def index_table(names, values=None, colors=None):
    """A table for masks that hold class indices, or the `values` given in the order of `names`."""
    values = list(range(len(names))) if values is None else list(values)
    _check_count(names)
    table = {VOID: VOID} | {value: index for index, value in enumerate(values)}
    greys = {(value,) * 3: index for value, index in table.items() if 0 <= value < 256}
    return LabelTable(tuple(names), colors, table, greys)


def colour_table(colors, voids=()):
    """A table for coloured masks.

    Index masks in the same folder hold the number of the class, or, if every colour is a grey, that
    grey.

    Args:
        colors: dict of class name to (red, green, blue), in the order of the indices.
        voids: colours that mean void.
    """
    _check_count(colors)
    by_colour = dict.fromkeys(voids, VOID)
    by_colour |= {tuple(colour): index for index, colour in enumerate(colors.values())}
    if len(set(by_colour)) < len(colors) + len(set(voids)):
        raise ValueError(f"Every class must have a colour of its own. Received: {colors}")
    triples = tuple(tuple(colour) for colour in colors.values())
    values = {VOID: VOID} | {index: index for index in range(len(colors))}
    table = LabelTable(tuple(colors), triples, values, by_colour)
    if table.is_grey():
        values = {colour[0]: index for colour, index in by_colour.items()}
    return dataclasses.replace(table, values=values)


def with_void(table, void):
    """The table with further values (numbers) and colours (triples) that mean void."""
    numbers = [value for value in void if not isinstance(value, tuple)]
    colours = [value for value in void if isinstance(value, tuple)]
    if table.is_grey():  # a grey file in RGB holds each number three times
        colours += [(value,) * 3 for value in numbers if 0 <= value < 256]
    return dataclasses.replace(
        table,
        values={**table.values, **dict.fromkeys(numbers, VOID)},
        by_colour={**table.by_colour, **dict.fromkeys(colours, VOID)},
    )


def _check_count(names):
    if not 1 <= len(names) <= MOST_CLASSES:
        raise ValueError(
            f"Masks must have 1 to {MOST_CLASSES} classes: {VOID} is void. "
            f"Received: {len(names)} class names"
        )
