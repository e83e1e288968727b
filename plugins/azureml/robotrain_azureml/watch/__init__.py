"""What became of a job: its state, its log, its end, what it left."""
