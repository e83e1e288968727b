"""The commands of Slurm, and what they answer."""
