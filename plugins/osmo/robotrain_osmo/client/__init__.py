"""The `osmo` command and the service behind it."""
