"""The workload `command`: a program of the user's own."""
