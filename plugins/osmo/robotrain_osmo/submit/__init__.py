"""Upload, submit exactly once, and find the workflow of an interrupted submit."""
