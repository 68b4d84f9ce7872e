"""A folder of pictures and drawn edges as a source."""

import dataclasses
import os

import numpy as np
import tensorflow as tf

from kvision.data.info import DatasetInfo, ImageFeature, SkippedFile, SplitDict, SplitInfo
from kvision.data.sources.edges.edge_files import check_edges, read_edges, recall_edges
from kvision.data.sources.edges.layouts import find_edges
from kvision.data.sources.image_files import decode
from kvision.data.sources.listing import report
from kvision.data.sources.order import stratified_order
from kvision.data.sources.readable import readable_dataset
from kvision.data.sources.verdicts import check_folder, remembered
from kvision.files.text import readable


@dataclasses.dataclass(frozen=True)
class EdgeSource:
    """Pictures and their edges: what is known of them, and datasets of pieces of their splits.

    Attributes:
        info: `DatasetInfo`.
        splits: dict of split name to rows of (path of the picture as bytes, decoder, orientation,
            path of the edges as bytes).
        annotated: whether all edges come with each annotator's drawing.
    """

    info: DatasetInfo
    splits: dict
    annotated: bool

    def dataset(self, pieces):
        """A `tf.data.Dataset` of what an example holds, for a list of `SplitPiece`.

        `edges` is float32 (height, width, 1), the share of annotators who drew a line there;
        `edge_annotations`, where each one's drawing is known, uint8 (height, width, annotators),
        as many as drew that picture.
        """
        rows = [row for p in pieces for row in self.splits[p.name][p.start : p.stop]]
        paths, decoders, orientations, edges = zip(*rows, strict=True)
        used, rotated = frozenset(decoders), max(orientations) > 1
        with tf.device("CPU:0"):
            paths, edges = tf.constant(list(paths)), tf.constant(list(edges))
            facts = tf.constant([decoders, orientations], tf.int64)

        def read(row):
            decoder, orientation = tf.unstack(facts[:, row])
            image = decode(paths[row], tf.cast(decoder, tf.int32), orientation, used, rotated)
            kinds = [tf.float32, tf.uint8]
            shares, drawn = tf.numpy_function(read_edges, [edges[row]], kinds, stateful=False)
            example = {"image": image, "edges": tf.ensure_shape(shares, (None, None, 1))}
            if self.annotated:
                example["edge_annotations"] = tf.ensure_shape(drawn, (None, None, None))
            return example

        return readable_dataset(np.arange(len(rows)), read)


def is_edge_folder(path):
    """Whether a folder holds pictures and drawn edges."""
    return find_edges(os.path.realpath(path)) is not None


def edge_folder(path, errors="skip", seed=0):
    """Reads a folder of pictures and drawn edges, in any of the known layouts.

    Args:
        path: the folder.
        errors: "skip" leaves out pairs that do not fit, with one warning that names them; "raise"
            stops instead.
        seed: the order of the examples in each split depends on it.

    Returns:
        An `EdgeSource`.

    Raises:
        ValueError: if no pair can be served, or, with `errors="raise"`, any file cannot be.
    """
    root = os.path.realpath(path)
    layout = find_edges(root)()
    pairs = list(dict.fromkeys(pair for split in layout.pairs.values() for pair in split))
    names = [list(dict.fromkeys(part)) for part in zip(*pairs, strict=True)] or [[], []]
    images = dict(zip(names[0], check_folder(root, names[0]), strict=True))
    checked = remembered(root, names[1], check_edges, recall_edges, "edges")
    edges = dict(zip(names[1], checked, strict=True))
    unfit = _unfit(pairs, images, edges)
    broken = {file.name for file in unfit}
    splits, infos = {}, {}
    for split, split_pairs in layout.pairs.items():
        rows = [
            (
                os.fsencode(os.path.join(root, image)),
                images[image].decoder,
                images[image].orientation,
                os.fsencode(os.path.join(root, drawn)),
            )
            for image, drawn in split_pairs
            if not {image, drawn} & broken
        ]
        splits[split] = [rows[i] for i in stratified_order(np.zeros(len(rows), "int64"), seed)]
        infos[split] = SplitInfo(len(rows))
    refused = [*layout.refused, *unfit]
    report(path, refused, errors, sum(map(len, splits.values())))
    features = {
        "image": ImageFeature((None, None, 3)),
        "edges": ImageFeature((None, None, 1), "float32"),
    }
    annotated = all(edges[name].annotators for name in names[1] if name not in broken)
    if annotated:
        features["edge_annotations"] = ImageFeature((None, None, None))
    info = DatasetInfo(str(path), SplitDict(infos), features, tuple(refused))
    return EdgeSource(info, splits, annotated)


def _unfit(pairs, images, edges):
    """`SkippedFile`s of what cannot be read, and of edges of another size than their picture."""
    refused = {}
    for image, drawn in pairs:
        for name, reason in ((image, images[image].reason), (drawn, edges[drawn].reason)):
            if reason:
                refused[name] = SkippedFile(name, reason)
        if not {image, drawn} & refused.keys() and edges[drawn].size != images[image].size:
            apart = images[image].sizes_apart(edges[drawn].size)
            refused[drawn] = SkippedFile(drawn, f"it has {apart} ({readable(image)})")
    return list(refused.values())
