"""Weights of torchvision: what the cameras' network of a policy starts from."""
