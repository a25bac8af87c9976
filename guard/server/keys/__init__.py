"""Callers' keys: their file, and how the server follows it."""
