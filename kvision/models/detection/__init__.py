"""Detection networks: which objects there are, and where."""

__all__ = []
