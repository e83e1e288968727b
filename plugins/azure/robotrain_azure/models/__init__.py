"""Models of a workspace, fetched by the container itself where no platform mounts them."""
