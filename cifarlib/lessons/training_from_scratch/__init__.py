"""What 03 shows."""
