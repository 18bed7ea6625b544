"""The classifiers behind a `TabularModel`, one leaf module per library; each reads and writes its own bytes, none with pickle."""
