"""Attacks on one's own corpus: what is planted, what is asked, and whether it worked. Knows no product: `app.redteam` asks."""
