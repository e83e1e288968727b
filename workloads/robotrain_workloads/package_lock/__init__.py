"""The lock of the packages that a job adds to its environment (`--with`): made on the submit side, never sent."""
