"""Where it runs: a PBS cluster."""
