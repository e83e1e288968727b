"""A stranger's plugin, installed for the cells that speak of kinds and workloads which nobody names."""
