"""What the halves that fetch share: programs run in an environment, and folders that are complete or not there."""
