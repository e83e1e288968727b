"""Run by Isaac Lab's own Python, which has none of robotrain's packages."""
