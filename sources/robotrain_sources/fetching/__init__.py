"""Fetching, shared by several source kinds."""
