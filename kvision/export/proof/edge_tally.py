"""What a comparison of a network of edges and its file adds up."""

import numpy as np

from kvision.evaluation.edge_matching import cut_offs, edge_counts, edge_summary
from kvision.evaluation.edges import as_planes, fused
from kvision.export.proof.differences import Differences
from kvision.ops.scores import BINARY, probabilities

TOLERANCE = 0.0075  # of the benchmark, in shares of the picture's diagonal
THRESHOLDS = 33  # a third of the benchmark's, for each picture is matched twice


class EdgeTally(Differences):
    """Of edges: differences of their scores, and the F1 at the best threshold for all pictures.

    Where the model gives several maps, the fused one counts. Logits are taken as the probabilities
    that they mean.
    """

    metric = "ODS F-score"

    def __init__(self):
        super().__init__()
        self.levels = cut_offs(THRESHOLDS)
        self.tables = [], []
        self.agreed = self.pixels = 0

    def add(self, wanted, received, truth):
        """Adds a batch.

        Args:
            wanted: the model's scores (n, height, width, 1), or a dict of maps with `"fuse"`.
            received: the file's.
            truth: masks (n, height, width, annotators) or (n, height, width), as
                `kv.evaluation.evaluate_edges` takes them.
        """
        wanted, received = fused(wanted), fused(received)
        truth = fused(truth)
        self.samples += len(wanted)
        self.compare(wanted, received)
        maps = [probabilities(np.nan_to_num(each), BINARY)[0] for each in (wanted, received)]
        self.agreed += int(((maps[0] > 0.5) == (maps[1] > 0.5)).sum())
        self.pixels += wanted.size
        for tables, scores in zip(self.tables, maps, strict=True):
            for pair in zip(scores, truth, strict=True):
                tables.append(edge_counts(*as_planes(*pair), TOLERANCE, self.levels, True))

    def agreement(self):
        """Returns of how many pixels model and file say the same, 0..1."""
        return self.agreed / self.pixels

    def metrics(self):
        """Returns the ODS F-score of the model and of the file, 0..1."""
        return tuple(edge_summary(each, TOLERANCE, self.levels)["ods"] for each in self.tables)
