"""Makes one dataset that LeRobot trains on, of one or several: a program that runs in the training environment."""
