"""What every workload is tried for; `robotrain.testing.WorkloadKit` is all of it."""
