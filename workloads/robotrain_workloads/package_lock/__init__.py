"""The lock of the packages that a job installs: made on the submit side, never sent."""
