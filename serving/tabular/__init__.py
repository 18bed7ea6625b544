"""Tabular models that answer: rows checked, made features, scored; one by one, in bulk, and as a KServe model. Trains nothing."""
