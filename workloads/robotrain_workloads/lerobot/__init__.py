"""What training and evaluation with LeRobot share: datasets, policies, options, devices, publishing."""
