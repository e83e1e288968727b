"""The lock of the packages of a program: made on the submit side, never sent."""
