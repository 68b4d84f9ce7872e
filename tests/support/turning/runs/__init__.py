"""What kvision needs to know of its runs."""
