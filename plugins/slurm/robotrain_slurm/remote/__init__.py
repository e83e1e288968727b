"""What runs on a login node for this machine, and what this machine does beside it."""
