"""What is seen of a run: status, log, outputs."""
