"""What its files are."""
