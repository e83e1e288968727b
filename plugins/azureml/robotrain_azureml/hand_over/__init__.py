"""Handing a job over: what it needs is brought there, then the workspace is asked to take it, once."""
