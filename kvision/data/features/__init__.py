"""The features of an example, a file each: how it is checked, kept, resized and moved."""
