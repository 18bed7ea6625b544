"""A vLLM server: starting one, asking one, and keeping what it has loaded equal to what should answer."""
