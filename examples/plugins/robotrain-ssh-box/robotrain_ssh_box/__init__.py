"""Where it runs: a machine that is reached by ssh."""
