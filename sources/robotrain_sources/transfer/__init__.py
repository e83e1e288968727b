"""The download engine: one scheduler over all sources of a job, many connections, verified, resumable."""
