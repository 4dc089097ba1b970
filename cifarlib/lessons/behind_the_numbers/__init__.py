"""What 07 shows."""
