"""Objects, each with a box, a class and perhaps a mask: their sources, and how they move."""
