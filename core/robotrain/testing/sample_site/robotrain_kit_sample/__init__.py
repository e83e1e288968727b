"""The kit's sample plugin, installed while a platform is tested: a source kind and a workload."""
