"""A workload whose work is a few lines of Python: what the platform does with it is what is tested."""
