"""Tables: what they promise, how good they are, and the features made of them. Knows no model and no server."""
