"""The workload `isaac-validate`."""
