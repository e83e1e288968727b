"""What runs on a node, with the standard library and the runtime only."""
