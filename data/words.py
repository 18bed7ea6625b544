"""English words that carry grammar rather than meaning (`function_words.txt`)."""

from pathlib import Path

FUNCTION_WORDS = frozenset((Path(__file__).parent / "function_words.txt").read_text(encoding="utf-8").split())
