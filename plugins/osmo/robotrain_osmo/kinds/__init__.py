"""Sources and places that only OSMO knows."""
