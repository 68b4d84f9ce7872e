"""Which table of classes the masks of a folder go by: what was asked for, found beside, or seen."""

from kvision.data.sources.masks.class_files import is_void, named_colours, read_class_files
from kvision.data.sources.masks.label_table import (
    MOST_CLASSES,
    colour_table,
    index_table,
    with_void,
)
from kvision.data.sources.masks.mask_files import unpack
from kvision.ops.masks import VOID

_BINARY_NAMES = ("background", "foreground")
_SPARSE_FROM = 8


def choose_table(root, known, masks, class_names=None, colors=None, void=()):
    """The table for the masks of a folder.

    Colours that were passed go first, then names that were passed, then the files beside the masks,
    then what the layout is known for; at last the values that occur. Masks that hold nothing but 0
    and 255 are black and white: background and foreground, unless 255 is passed as void.

    Args:
        root: the folder.
        known: the `LabelTable` of the layout, or None.
        masks: list of the checked `MaskFile`s.
        class_names: list of names, dict of value to name, or None.
        colors: dict of name to colour, list of colours, or None.
        void: values and colours that mean void.

    Returns:
        The pair of a `LabelTable` and a list of lines that the user should read.

    Raises:
        ValueError: if the arguments have the wrong form.
    """
    names = _check_names(class_names)
    colors = _check_colors(colors, names)
    void = _check_void(void)
    found_names, found_colors, void_colors = (
        (None, None, []) if colors or names else read_class_files(root)
    )
    if colors:
        void_colors = [colour for name, colour in colors.items() if is_void(name)]
        colors = {name: colour for name, colour in colors.items() if not is_void(name)}
    if colors or found_colors:
        return with_void(colour_table(colors or found_colors, void_colors), void), []
    if isinstance(names, dict):
        return with_void(index_table(list(names.values()), list(names)), void), []
    names = names or found_names
    seen = {value for mask in masks for value in _greys(mask)}
    if _is_binary(seen, names, void):
        return with_void(index_table(names or _BINARY_NAMES, (0, VOID)), void), []
    if names:
        return with_void(index_table(names), void), []
    if known and sum(known.unknown(mask) is None for mask in masks) > len(masks) / 2:
        return with_void(known, void), []
    return _seen_table(seen, void)


def _seen_table(seen, void):
    classes = sorted(seen - {VOID, *void})
    classes = [value for value in classes if 0 <= value < MOST_CLASSES] or [0]
    count = classes[-1] + 1
    names = [f"class {index}" for index in range(count)] if count > 2 else _BINARY_NAMES
    notes = []
    if count > _SPARSE_FROM and len(classes) < count / 2:
        shown = ", ".join(str(value) for value in classes[:10])
        notes.append(
            f"The masks hold {len(classes)} values, {shown} ..., and are served as {count} "
            "classes. Say what they mean: `class_names={value: 'name'}`"
        )
    return with_void(index_table(names), void), notes


def _greys(mask):
    """The values of a mask as greys; none if it has colours."""
    if mask.bits:
        return [VOID * value for value in mask.values]  # black and white
    if not mask.coloured:
        return mask.values
    colours = [unpack(value) for value in mask.values]
    return [red for red, green, blue in colours] if all(len(set(c)) == 1 for c in colours) else []


def _is_binary(seen, names, void):
    two = names is None or len(names) == 2
    return two and VOID in seen and seen <= {0, VOID} and VOID not in void


def _check_names(class_names):
    if class_names is None:
        return None
    if isinstance(class_names, dict):
        good = all(isinstance(value, int) for value in class_names)
        names = list(class_names.values())
    else:
        good = isinstance(class_names, (list, tuple))
        names = class_names = list(class_names) if good else []
    good = good and names and all(isinstance(name, str) for name in names)
    if not good or len(set(names)) < len(names):
        raise ValueError(
            "`class_names` must be a list of different names in the order of the values in the "
            f"masks, or a dict of value to name. Received: {class_names!r}"
        )
    return class_names


def _check_colors(colors, names):
    if colors is None:
        return None
    triples = list(colors.values()) if isinstance(colors, dict) else colors
    if not isinstance(triples, (list, tuple)) or not triples or not all(map(_is_colour, triples)):
        raise ValueError(
            "`colors` must be a dict of class name to (red, green, blue), or a list of such "
            f"colours in the order of `class_names`, each 0..255. Received: {colors!r}"
        )
    if isinstance(colors, dict):
        return {str(name): tuple(colour) for name, colour in colors.items()}
    if isinstance(names, dict):
        raise ValueError(
            "`class_names` must be a list of names where `colors` is a list. "
            f"Received: class_names={names!r}"
        )
    return named_colours([tuple(colour) for colour in triples], names)


def _check_void(void):
    values = void if isinstance(void, (list, tuple, set, frozenset)) else (void,)
    if isinstance(void, tuple) and _is_colour(void):
        values = (void,)
    values = [tuple(value) if isinstance(value, (list, tuple)) else value for value in values]
    for value in values:
        if not (_is_colour(value) or isinstance(value, int) and not isinstance(value, bool)):
            raise ValueError(
                "`void` must be a value in the masks, a colour (red, green, blue), or a list of "
                f"such. Received: {void!r}"
            )
    return values


def _is_colour(value):
    return (
        isinstance(value, (list, tuple))
        and len(value) == 3
        and all(isinstance(part, int) and 0 <= part <= 255 for part in value)
    )
