"""Which columns of a CSV file of boxes hold what: their names decide, not where they stand."""

IMAGE = ("image", "filename", "file_name", "image_path", "path", "file", "img", "image_id")
LABEL = ("class", "label", "name", "class_name", "category")
SPLIT = ("split", "set", "subset")
_CORNERS = (
    ("ymin", "xmin", "ymax", "xmax"),
    ("y_min", "x_min", "y_max", "x_max"),
    ("y1", "x1", "y2", "x2"),
    ("top", "left", "bottom", "right"),
)
_STARTS = (("y", "x"), *(names[:2] for names in _CORNERS))
_SIDES = (("h", "w"), ("height", "width"))  # beside w and h, width and height are the picture's
_PREFIXES = ("bbox_", "box_", "")


def find_columns(header):
    """The names of the columns that are of use.

    Args:
        header: list of the names of all columns, in small letters.

    Returns:
        A dict of `image`, `label` and `split` to a name or None; of `box` to the names of four
        columns, y before x, that fit together, or to None; and of `corners` to whether the last
        two of them are a corner rather than height and width.

    Raises:
        ValueError: if a column is missing, or there are two of a name.
    """
    columns = {
        key: next((name for name in known if name in header), None)
        for key, known in (("image", IMAGE), ("label", LABEL), ("split", SPLIT))
    }
    columns["box"], columns["corners"] = _box(header)
    if not (columns["image"] and columns["label"] and columns["box"]):
        raise ValueError(
            "it must begin with a header that names the columns of the image "
            f"({', '.join(IMAGE)}), of the class ({', '.join(LABEL)}) and of the box (xmin, ymin, "
            f"xmax, ymax; x1, y1, x2, y2; x, y, w, h; or x, y, width, height). Received: {header}"
        )
    used = [columns["image"], columns["label"], columns["split"], *columns["box"]]
    twice = [name for name in used if header.count(name) > 1]
    if twice:
        raise ValueError(
            f"its columns must have names of their own. Received: more than one {twice[0]!r} in "
            f"{header}"
        )
    return columns


def _box(header):
    """The names of the columns of the box and whether they are corners, the most telling first."""
    sets = [(names, True) for names in _CORNERS]
    sets += [(start + sides, False) for sides in _SIDES for start in _STARTS]
    for prefix in _PREFIXES:
        for names, corners in sets:
            names = tuple(prefix + name for name in names)
            if set(names) <= set(header):
                return names, corners
    return None, False
