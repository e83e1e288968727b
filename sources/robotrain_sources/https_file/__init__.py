"""Single files at web addresses."""
