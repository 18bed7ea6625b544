"""The feature store: a Feast repository for the facts about policies. `definitions.py` and the YAML files are what Feast itself reads."""
