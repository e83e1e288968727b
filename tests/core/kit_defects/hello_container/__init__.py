"""Container plugins that say hello: one that is whole, others each wrong in one way."""
