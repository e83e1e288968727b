"""What the workloads of Isaac Lab share: its installation, checkpoints, terms, and its processes."""
