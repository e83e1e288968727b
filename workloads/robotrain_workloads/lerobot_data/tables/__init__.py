"""Whether the tables of a dataset agree, and what they show at once."""
