"""The workload `isaac-train`."""
