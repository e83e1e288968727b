"""The commands of robotrain, one module each."""
