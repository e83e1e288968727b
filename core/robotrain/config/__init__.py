"""Configuration: from flags, files and environment to one resolved job."""
