"""A robotrain command: one job over a grid of values."""
