"""Letting a policy act in a simulated environment: what happens there, how well it went, and films of it."""
