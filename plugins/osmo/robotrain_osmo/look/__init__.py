"""What can be seen before anything is sent."""
