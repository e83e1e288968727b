"""The workload earlier-workload of robotrain."""
