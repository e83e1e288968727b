"""What trainings share: where they start, their rules, and processes that train together."""
