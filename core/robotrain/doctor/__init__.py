"""What `robotrain doctor` checks on this machine, and what it mends."""
