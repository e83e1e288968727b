"""Datasets, policies, options, devices and publishing: what training and evaluation with LeRobot share."""
