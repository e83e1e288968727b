"""A robotrain workload: statistics of LeRobot datasets."""
