"""Which model answers: local encoder and reader, OpenAI-compatible clients."""
