"""The proof of a file, against the model it came from."""
