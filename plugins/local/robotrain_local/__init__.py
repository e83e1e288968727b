"""The local platform: runs a job as a background process of this machine."""
