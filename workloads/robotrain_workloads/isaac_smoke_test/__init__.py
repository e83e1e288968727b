"""The workload `isaac-smoke-test`."""
