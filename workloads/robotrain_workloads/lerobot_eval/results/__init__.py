"""What an evaluation leaves: numbers, predictions and pictures, in one folder."""
