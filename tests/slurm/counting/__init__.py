"""A workload of the tests: it counts, saves the numbers, and goes on from there. It needs nothing but Python."""
