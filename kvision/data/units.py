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
