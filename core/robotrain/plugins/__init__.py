"""Plugins: their hooks and claims, loading them, and calling their code under guard."""
