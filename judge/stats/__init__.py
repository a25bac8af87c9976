"""Statistics: pure functions from arrays to estimates. Each family is one module."""
