"""Train a policy with LeRobot: ACT and Diffusion, from a LeRobot v3 dataset."""
