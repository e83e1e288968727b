"""The workload `lerobot-merge`."""
