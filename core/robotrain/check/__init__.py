"""Checks of a resolved job against the declarations of its platform. Pure."""
