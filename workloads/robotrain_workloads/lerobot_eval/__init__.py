"""Evaluation of a policy with LeRobot: on recorded episodes and in a simulated environment."""
