"""A look at the workspace before anything is sent."""
