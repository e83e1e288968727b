"""Results of an evaluation: data, scores, summary, files and plots."""
