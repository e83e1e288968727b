"""Evaluate a policy with LeRobot: its actions beside recorded ones, and what it does in a simulated environment."""
