"""A workload of the tests: it counts, saves what it has counted, and goes on from there. It needs nothing but Python."""
