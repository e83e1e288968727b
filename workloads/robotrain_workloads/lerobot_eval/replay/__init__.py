"""Recorded episodes, acted in again: what the policy would have done where the dataset says what was done."""
