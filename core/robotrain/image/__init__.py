"""An image with the environments of a workload baked in: its Dockerfile, and the folder that is built from."""
