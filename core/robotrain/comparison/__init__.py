"""Comparisons of policies on the laptop: what a run does not need."""
