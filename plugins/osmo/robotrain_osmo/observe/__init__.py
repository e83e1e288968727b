"""Status, logs, outputs and end of a workflow."""
