"""Runs robotrain jobs on Azure Machine Learning: as a command job of a workspace."""
