"""The routes that are one module each."""
