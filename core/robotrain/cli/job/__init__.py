"""Commands over a job: options composed from what the arguments choose, and every mistake of usage."""
