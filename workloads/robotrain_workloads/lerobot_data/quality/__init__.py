"""What makes a policy worse, though a dataset can be trained on: found by a child process with numpy and PyAV."""
