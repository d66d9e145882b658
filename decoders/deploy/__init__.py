"""Memory experiments on quantum computers: lowered, placed, predicted, sent, decoded."""
