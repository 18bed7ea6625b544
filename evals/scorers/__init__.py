"""Scorers: each judges one sample and what a target gave for it."""
