"""What commands share that translate a line of another tool; read before submission only."""
