"""A data asset of Azure ML, by name and version."""
