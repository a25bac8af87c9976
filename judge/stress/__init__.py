"""How steady a judge is: changes that must not move its label, attacks on it, known answers."""
