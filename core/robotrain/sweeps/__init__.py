"""Sweeps: one job over several values, each combination a trial."""
