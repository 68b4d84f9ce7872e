"""What leaves the building of it."""
