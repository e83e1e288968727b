"""From a job to the plan of a command job, and the rules on it. Pure."""
