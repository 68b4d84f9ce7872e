"""Masks: an integer class for each pixel, and one value that means none."""

VOID = 255  # no class: ignored in loss, metric and picture
