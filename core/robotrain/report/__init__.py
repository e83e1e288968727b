"""HTML pages about runs: one run, or the comparison of several."""
