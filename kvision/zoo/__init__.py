"""What was measured of the networks, and the catalogue made of it."""
