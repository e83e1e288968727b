"""An Azure ML workspace on this machine: what its resource manager holds, its run history, and the life of its jobs.

It refuses what Azure refuses. `azureml.AzureML` is the whole of it as a test sees it.
"""
