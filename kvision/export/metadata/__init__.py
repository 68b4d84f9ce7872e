"""What a file says of itself, and how that is read."""
