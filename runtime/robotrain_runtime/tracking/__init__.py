"""Tracking with MLflow: the runtime's end, and the process in the training environment."""
