"""From a job to the workflow that is sent; all of it pure."""
