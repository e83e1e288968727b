"""Tracking with MLflow: a process of its own in the run's environment, and what asks it."""
