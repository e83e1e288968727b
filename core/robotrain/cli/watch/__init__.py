"""Live views of runs: following, rendering, summaries, the list of runs."""
