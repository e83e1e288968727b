"""Processes of a run: children, helpers, stop signals, and the events that pass between them."""
