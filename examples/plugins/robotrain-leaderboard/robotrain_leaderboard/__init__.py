"""A robotrain command: the best runs by a metric."""
