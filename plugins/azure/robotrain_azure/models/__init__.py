"""Models of a workspace: as sources that the container downloads itself, and where those of runs are registered."""
