"""From a job to the workflow that is submitted; pure."""
