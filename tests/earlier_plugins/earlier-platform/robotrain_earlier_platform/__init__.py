"""The platform earlier-platform of robotrain."""
