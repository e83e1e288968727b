"""Mixtures: several datasets of which a training draws shares of its samples."""
