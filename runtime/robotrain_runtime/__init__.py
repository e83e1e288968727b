"""The engine that runs a job in its container, and the contract that both sides share. Standard library only."""
