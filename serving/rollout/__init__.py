"""Which version answers: shadow, canary, champion, decided by evidence. Knows names, versions and digests, never what a model is."""
