"""A stranger's plugin that the kit installs while it tries a platform: a source kind and a workload."""
