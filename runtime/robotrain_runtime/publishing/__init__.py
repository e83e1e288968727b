"""Publishing: what a run produced is sealed, copied and registered."""
