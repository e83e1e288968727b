"""What is wrong with a dataset: its tables, numbers, videos and units, and what a job needs of it."""
