"""Source kinds that only OSMO knows."""
