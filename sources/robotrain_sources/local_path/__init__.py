"""A folder of the machine that runs the job."""
