"""Python environments: found, built from their lock, taken from the image; and uv, which builds them."""
