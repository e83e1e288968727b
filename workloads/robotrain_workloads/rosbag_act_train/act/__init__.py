"""ACT in plain PyTorch: the model, and policies in LeRobot's layout. Runs in the job's environment."""
