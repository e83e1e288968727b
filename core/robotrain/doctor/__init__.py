"""Health checks of this machine for `robotrain doctor`."""
