"""The Slurm platform: runs a job as a batch job of a cluster."""
