"""Source kinds: where the data of a job comes from, one folder a kind."""
