"""Other ways to read a text that may be disguised, for matching alone.

`originals` gives the text as the embedded scorer reads it, and what a right-to-left override
displays, columns, texts between tags, bopomofo, and messages in invisible characters, Base64,
hexadecimal or escapes. `undisguised` gives what a view says once traditional forms, look-alike
letters, separators and fillers, split characters and Chinese numerals are undone; `spoken` gives it
by its sounds. An ordinary text has one view. The time is linear in the text's length.
"""

from __future__ import annotations

from collections.abc import Iterator

from guard.views import (
    characters,
    encoded,
    fillers,
    glyphs,
    hidden,
    joins,
    layout,
    mailboxes,
    numbers,
    pairs,
    signs,
    sounds,
)
from guard.views.model import PLAIN, View, plain
from guard.views.sounds import by_sound, without_latin

__all__ = [
    "PLAIN",
    "View",
    "by_sound",
    "load",
    "mailboxes",
    "numbers",
    "originals",
    "pairs",
    "plain",
    "spoken",
    "undisguised",
    "without_latin",
]

_ALWAYS = 0  # no sign tells of it
# What is undone in a text, one after the other, where there are signs of it.
_STEPS = (
    (signs.MASKED, characters.unmasked),
    (signs.ALTERNATES | signs.STRING | signs.COUNTED | signs.LINES, fillers.without_fillers),
    (_ALWAYS, fillers.without_noise),
    (signs.PARTED, joins.without_separators),
    (signs.NUMERALS, joins.with_digits),
)


def load() -> None:
    """Make the tables now, which takes some tenths of a second, and not at the first text."""
    signs.load()
    glyphs.load()
    numbers.load()
    sounds.load()


def originals(text: str) -> Iterator[View]:
    """The plain view, and the texts that aren't seen in it: reordered, hidden, encoded."""
    first = plain(text)
    yield first
    if first.origin is not None:  # else there is nothing that isn't seen
        shown = hidden.reordered(text)
        if shown is not None:
            yield shown
        yield from hidden.messages(text)
    yield from _laid_out(first)
    for name, said in encoded.messages(first.text):
        message = View(name, plain(said).text, placed=False)
        yield message
        yield from _laid_out(message)


def _laid_out(view: View) -> Iterator[View]:
    there = view.signs
    other = layout.without_tags(view) if there & signs.TAG else None
    if other is not None:
        yield other
    other = sounds.without_bopomofo(view) if there & signs.BOPOMOFO else None
    if other is not None:
        yield other
    if there & signs.LINES:
        yield from layout.columns(view)


def undisguised(view: View) -> View:
    """A view without what can be undone in it; itself where there is nothing."""
    for sign, step in _STEPS:
        if sign == _ALWAYS or view.signs & sign:
            view = step(view)
    view = fillers.without_strays(fillers.without_pictures(view))
    return glyphs.with_whole_glyphs(view)


def spoken(view: View) -> View:
    """A view by its sounds."""
    return by_sound(without_latin(view))
