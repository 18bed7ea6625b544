"""Trains adapters for one shared encoder: spans, pairs, labels, vectors. One module per kind, one `*_rows` module per task's data."""
