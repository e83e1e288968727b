"""Replay: a policy acts in recorded episodes."""
