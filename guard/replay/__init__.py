"""Recorded traffic under a policy."""
