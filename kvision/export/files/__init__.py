"""The files that are written: SavedModel and TFLite."""
