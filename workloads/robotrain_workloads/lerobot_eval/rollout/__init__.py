"""Rollout: a policy acts in a simulated environment."""
