"""How a network learns: device, loop, optimiser, and what survives an accident."""
