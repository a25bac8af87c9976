"""Looking for evidence in a text's parts: at once where they are short, else beside the loop."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event
from typing import Final

from guard.decision import Found, Missed, Part
from guard.engine.beside import INLINE, beside
from guard.engine.remembered import Remembered, Scanner
from guard.engine.slices import slices
from guard.log import say_broken
from judge.errors import FlamesJudgeError

PERSONAL: Final = "pii"  # the kinds of evidence that single words may be
CORE: Final = "guard"  # the rule that an unread part or a bug is booked on


class Scanning:
    """Finds evidence by a scanner, and remembers what was found in turns that come again."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanned = Remembered(scanner)

    async def found(
        self, parts: Sequence[Part], chat: str | None
    ) -> tuple[list[Found], list[Missed]]:
        """What is in the parts, and what could not be scanned.

        Args:
            parts: of a text.
            chat: in which they come again with the next turn; None where they don't.
        """
        characters = sum(len(part.text) for part in parts)
        if characters <= INLINE:
            return self._scan(parts, chat)
        return await beside(characters, lambda left: self._scan(parts, chat, left))

    def _scan(
        self, parts: Sequence[Part], chat: str | None, left: Event | None = None
    ) -> tuple[list[Found], list[Missed]]:
        found: list[Found] = []
        missed: list[Missed] = []
        for part in parts:
            for text in slices(part.text):
                if left is not None and left.is_set():
                    return found, missed
                try:
                    kinds = self._scanned.kinds(text, chat)
                except Exception as error:  # noqa: BLE001 - other parts are still scanned
                    missed.append(broke(error))
                else:
                    found += [
                        Found(kind, part.where, view)
                        for kind, view in kinds
                        if not part.word or kind.startswith(PERSONAL)
                    ]
        return list(dict.fromkeys(found)), list(dict.fromkeys(missed))


def broke(error: Exception) -> Missed:
    """A check that an error of ours kept from being made."""
    if isinstance(error, FlamesJudgeError):
        return Missed(CORE, "error:judge")
    say_broken(error)
    return Missed(CORE, f"error:{type(error).__name__}")
