"""One page that tells a run: what it was, how it went, what it left."""
