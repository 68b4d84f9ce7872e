"""Networks that find edges."""

__all__ = []
