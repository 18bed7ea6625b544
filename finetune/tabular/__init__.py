"""Tabular models: from a table and a YAML config to a trained, calibrated, measured and saved model. Serves nothing."""
