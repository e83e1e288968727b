"""Live views of runs: following, rendering, summaries."""
