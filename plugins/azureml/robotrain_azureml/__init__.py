"""Runs robotrain jobs on Azure Machine Learning, as command jobs of a workspace."""
