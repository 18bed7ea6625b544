"""Tabular models: how good, for whom, why, and whether that still holds. Knows scores and labels, never how a model was trained."""
