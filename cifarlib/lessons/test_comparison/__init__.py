"""What 05 shows."""
