"""Results of an evaluation: what was found, scores, summary, files and plots."""
