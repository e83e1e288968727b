"""A workload of the tests: it counts, and needs nothing but Python."""
