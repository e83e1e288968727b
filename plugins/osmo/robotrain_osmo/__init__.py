"""The OSMO platform: renders a workflow, hands it to the `osmo` command, and watches it."""
