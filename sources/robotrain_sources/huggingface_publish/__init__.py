"""Writes checkpoints to a branch of the Hugging Face Hub; only a job that publishes there carries this package."""
