"""How much of a worker's memory the bodies of its requests may take."""

from __future__ import annotations

from guard.server.http.responses import Refusal


class Held:
    """How many bytes of bodies are in memory; past the limit new ones are turned away.

    Args:
        most: bytes, over all requests in hand.
    """

    def __init__(self, most: int) -> None:
        self._most, self._bytes = most, 0

    def take(self, size: int) -> None:
        """Count bytes.

        Raises:
            Refusal: 503; there is no room for them.
        """
        if self._bytes + size > self._most:
            raise Refusal(
                "too many large requests at once",
                status=503,
                code="overloaded",
                headers={"retry-after": "1"},
            )
        self._bytes += size

    def give_back(self, size: int) -> None:
        """Bytes that are no longer held."""
        self._bytes -= size


class Room:
    """What one request holds of the common memory, until it is given back."""

    def __init__(self, held: Held) -> None:
        self._held, self._taken = held, 0

    def take(self, size: int) -> None:
        """Count bytes as this request's.

        Raises:
            Refusal: 503; there is no room for them.
        """
        self._held.take(size)
        self._taken += size

    def give_back(self) -> None:
        """The request is over."""
        self._held.give_back(self._taken)
        self._taken = 0
