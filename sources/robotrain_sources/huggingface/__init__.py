"""A repository of the Hugging Face Hub."""
