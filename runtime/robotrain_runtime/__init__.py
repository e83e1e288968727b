"""The engine that runs a job where it landed, and the contract modules both sides share. Standard library only."""
