"""The HTTP edge: routes hold no logic."""
