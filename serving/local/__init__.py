"""Models that run in this process, without a key, a GPU or a model hub."""
