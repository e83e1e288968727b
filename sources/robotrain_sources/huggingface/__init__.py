"""A dataset of the Hugging Face Hub."""
