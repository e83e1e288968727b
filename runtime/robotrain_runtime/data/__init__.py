"""The data of a run: surveyed, fetched, prepared."""
