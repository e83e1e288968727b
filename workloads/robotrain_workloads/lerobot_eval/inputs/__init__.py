"""Inputs of an evaluation: the policy, recorded episodes, and the simulated environment."""
