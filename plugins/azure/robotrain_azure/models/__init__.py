"""Models of a workspace as sources that the container downloads itself."""
