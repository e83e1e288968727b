"""Brings the data of several sources together: one scheduler, many connections, verified, resumable."""
