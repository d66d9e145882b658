"""Floor 3, the games: Gymnasium environments on the device and the code, and their agents."""
