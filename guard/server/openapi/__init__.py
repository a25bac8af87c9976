"""The service's description."""
