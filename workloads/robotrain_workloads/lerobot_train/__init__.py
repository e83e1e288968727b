"""Training of a policy with LeRobot: ACT and Diffusion, from LeRobot v3 datasets."""
