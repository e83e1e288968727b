"""The package of Isaac Lab 2.3 with its exporters."""
