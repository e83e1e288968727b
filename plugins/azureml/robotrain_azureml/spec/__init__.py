"""From a job to the plan of a command job: pure."""
