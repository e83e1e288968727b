"""Where it runs: a Slurm cluster."""
