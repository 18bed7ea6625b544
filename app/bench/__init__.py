"""Figures that the documentation quotes: `make bench` measures them all, ratios within one run."""
