"""How well evidence is found behind disguises, and at what cost."""
