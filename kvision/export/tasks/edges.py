"""Files of networks that find edges: how sure they are of one at every pixel."""

from kvision.export.specs import is_image

# Of so many pixels some lie near a threshold, and ODS and OIS are read off at 99 of them.
LIMITS = {
    None: {"max_difference": 1e-3, "metric_drop": 0.1},
    "float16": {"metric_drop": 0.5},
    "bfloat16": {"metric_drop": 0.5},
    "dynamic": {"metric_drop": 1.5},
    "int8": {"metric_drop": 1.5},
}
FUSED = "fuse"  # of several edge maps, the one that counts


def could_be(inputs, outputs):
    """Whether a model gives one score of every pixel of an image, or several with one fused."""
    edges = outputs.get(FUSED) if isinstance(outputs, dict) else outputs
    return is_image(inputs) and is_image(edges) and edges.shape[-1] == 1 and "float" in edges.dtype


def tally(report):
    """Returns what matches the edges of model and file with the drawn ones."""
    from kvision.export.proof.edge_tally import EdgeTally

    return EdgeTally()
