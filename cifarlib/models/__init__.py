"""The networks, and where their ImageNet weights come from."""
