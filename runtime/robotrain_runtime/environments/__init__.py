"""Python environments: found, checked, built with uv, shared by runs."""
