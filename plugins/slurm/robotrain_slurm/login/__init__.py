"""A cluster that is reached by ssh: where its login node is, and what goes wrong on the way."""
