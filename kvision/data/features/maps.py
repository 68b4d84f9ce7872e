"""What maps beside a picture have in common."""


def check_map(name, spec, *dtypes):
    """Raises a ValueError where a feature is no map.

    Args:
        name: of the feature.
        spec: its specification in an example.
        *dtypes: that it may have.
    """
    if spec.dtype not in dtypes or spec.shape.rank != 3 or spec.shape[-1] not in (1, None):
        known = " or ".join(dtype.name for dtype in dtypes)
        raise ValueError(
            f"The '{name}' of an example must be {known} of shape (height, width, 1), "
            "as from kv.data.load. "
            f"Received: shape {spec.shape}, dtype {spec.dtype.name}. Map the dataset to that first."
        )
