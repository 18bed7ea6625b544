"""Data -> weights: recipes, preflight, training, parity, cards."""
