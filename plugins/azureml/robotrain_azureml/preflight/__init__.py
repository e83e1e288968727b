"""Preflight checks: what would make a plan fail or wait, before anything is sent."""
