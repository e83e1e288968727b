"""State on disk: records of runs, their plans, the locks on their names."""
