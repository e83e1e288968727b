"""What a line of LeRobot means, and which options its trainer takes; read before submission only."""
