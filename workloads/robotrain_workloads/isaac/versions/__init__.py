"""What differs between versions of Isaac Lab."""
