"""A program that makes one dataset of one or several; it runs in the training environment."""
