"""Container plugins of shelves: one that is whole, others each wrong in one way."""
