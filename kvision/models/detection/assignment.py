"""Which object each anchor or region answers for, with crowds and difficult objects left out."""

from keras import ops

from kvision.ops import boxes as box_ops
from kvision.ops import matching


def completed(truth):
    """The truth with one padded object more, so that there is one to point at; and what is clear.

    Returns:
        A dict of `boxes`, `classes`, `masks` where there are any, `clear`: which objects are
        learned, and `unclear`: which are crowds or difficult.
    """
    boxes = ops.pad(ops.cast(truth["boxes"], "float32"), ((0, 0), (0, 1), (0, 0)))
    classes = ops.pad(ops.cast(truth["classes"], "int32"), ((0, 0), (0, 1)), constant_values=-1)
    unclear = ops.zeros_like(classes) > 0
    for key in ("crowd", "difficult"):
        if key in truth:
            unclear = unclear | ops.pad(ops.cast(truth[key], "bool"), ((0, 0), (0, 1)))
    objects = {
        "boxes": boxes,
        "classes": classes,
        "clear": (classes >= 0) & ~unclear,
        "unclear": (classes >= 0) & unclear,
    }
    if "masks" in truth:
        masks = ops.convert_to_tensor(truth["masks"])
        objects["masks"] = ops.pad(masks, ((0, 0), (0, 1), (0, 0), (0, 0)))
    return objects


def assigned(boxes, truth, positive, negative, force):
    """The object that each box stands for, and whether it does: `kv.ops.matching.match`.

    Boxes that lie by half on a crowd or a difficult object, and stand for no other, are left out.
    """
    overlap = box_ops.iou(boxes, truth["boxes"])
    index, state = matching.match(overlap, positive, negative, force=force, valid=truth["clear"])
    hidden = box_ops.share(boxes, truth["boxes"]) >= 0.5
    hidden = ops.any(hidden & truth["unclear"][:, None], axis=-1)
    return index, ops.where((state != 1) & hidden, -1, state)
