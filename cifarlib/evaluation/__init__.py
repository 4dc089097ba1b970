"""What a trained network says of pictures it has not seen, and how good that is."""
