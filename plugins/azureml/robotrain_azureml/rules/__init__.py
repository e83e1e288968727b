"""What is wrong with a job for Azure ML, one idea a module; all of it pure."""
