"""What became of a job: state, log, outputs, registration, cancellation."""
