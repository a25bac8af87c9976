"""Connections, bodies and responses: what every route needs of HTTP."""
