"""Running the `osmo` command, and understanding what it answers."""
