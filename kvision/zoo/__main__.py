"""Measures the networks and writes the catalogue: `python -m kvision.zoo [NAME ...]`."""

import sys

from kvision.zoo.measuring import main

if __name__ == "__main__":
    raise SystemExit(0 if main(sys.argv[1:]) else 1)
