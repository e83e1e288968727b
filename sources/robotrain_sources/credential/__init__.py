"""Secrets that a job names and never holds: in a file of its machine, or in a key vault of Azure."""
