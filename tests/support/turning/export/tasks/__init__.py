"""One task."""
