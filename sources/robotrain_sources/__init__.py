"""Where the data of a job comes from: one folder a source kind."""
