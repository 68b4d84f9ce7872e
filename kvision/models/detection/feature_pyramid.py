"""The feature pyramid: every resolution of a backbone, told by the coarser ones what it shows.

Lin, Dollar, Girshick, He, Hariharan, Belongie: Feature pyramid networks for object detection, CVPR
2017.
"""

from keras import layers

from kvision.layers import ResizeLike

LEVELS = (4, 8, 16, 32)  # strides: P2 to P5


def feature_pyramid(features, filters):
    """Maps of one width at every resolution.

    Args:
        features: `{stride: maps}` of a backbone, finest first.
        filters: of every map that comes out, 256 in the paper.

    Returns:
        A list of maps, finest first, whose layers are named `fpn_p2` for stride 4, and so on.

    Reference:
        Lin et al., 2017, section 3, https://arxiv.org/abs/1612.03144
    """
    pyramid, above = [], None
    for stride in reversed(features):
        level = stride.bit_length() - 1
        x = _conv(features[stride], filters, 1, f"fpn_c{level}")
        if above is not None:
            above = ResizeLike("nearest", name=f"fpn_up{level}")([above, x])
            x = layers.Add(name=f"fpn_add{level}")([x, above])
        above = x
        pyramid.insert(0, _conv(x, filters, 3, f"fpn_p{level}"))
    return pyramid


def coarser(maps):
    """Every second position of the pyramid's top, P6: for proposals of large objects alone."""
    return layers.MaxPooling2D(1, strides=2, name="fpn_p6")(maps)


def _conv(x, filters, kernel_size, name):
    return layers.Conv2D(
        filters,
        kernel_size,
        padding="same",
        kernel_initializer="he_uniform" if kernel_size == 1 else "glorot_uniform",
        name=name,
    )(x)
