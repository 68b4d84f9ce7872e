"""Where examples come from: folders, files, arrays, TFDS."""
