"""The list of runs submitted from this machine: its filters, and what platforms say about each run."""
