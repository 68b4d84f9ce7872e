"""Whether numbers are shares of something or counts of it: the many decide, never one of them."""

import numpy as np

_LOOSE = 1.5  # what is above is no share that was rounded, or that reaches over a border


def are_shares(arrays, strays):
    """Whether the numbers in some arrays are meant as shares, in 0..1.

    Args:
        arrays: list of arrays, all in one unit. What is not above 0 tells nothing, and is not
            asked.
        strays: how many of the shares, as a share, may be far above 1 by mistake.
    """
    known = sum(np.count_nonzero(array > 0) for array in arrays)
    above = sum(np.count_nonzero(array > _LOOSE) for array in arrays)
    return known > 0 and above <= strays * known


def boxes_are_shares(boxes):
    """Whether most of some boxes, (ymin, xmin, ymax, xmax), are in shares of their pictures.

    Pixels of a picture of one pixel are nothing that anybody would box. Boxes without an area, as
    some programs write for no object, have no say.
    """
    boxes = np.array(list(boxes), "float64").reshape(-1, 4)
    solid = boxes[(boxes[:, :2] != boxes[:, 2:]).all(axis=1)]
    return are_shares([solid.max(axis=1)], strays=0.5)
