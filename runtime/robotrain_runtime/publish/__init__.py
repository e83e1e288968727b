"""Where complete checkpoints go while a run goes on, and when it has ended."""
