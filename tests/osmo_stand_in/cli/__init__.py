"""The command `osmo`: what it takes, what it prints, how it ends. It starts quickly: what is heavy comes late."""
