"""What a robotrain job can run: one folder a workload."""
