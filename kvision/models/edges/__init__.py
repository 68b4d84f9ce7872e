"""Networks that find edges."""

from kvision.models.edges.hed import HED

__all__ = ["HED"]
