"""What is wrong with a job for OSMO, one idea a module; all of it pure."""
