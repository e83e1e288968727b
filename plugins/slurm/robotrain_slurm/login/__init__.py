"""A cluster that is reached by ssh: robotrain's functions for Slurm run on its login node, which need not have it.

One ssh for a command: the laptop sends this code there once, and then calls of functions, over standard input.
"""
