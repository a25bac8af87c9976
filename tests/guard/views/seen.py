"""All views of a text, as the scanner comes by them."""

from __future__ import annotations

from guard.views import View, originals, spoken, undisguised


def views(text: str, *, pinyin: bool = False) -> tuple[View, ...]:
    """The plain view, then each other one whose text isn't among them yet.

    Args:
        text: any text, lone surrogates included.
        pinyin: also give each text, undisguised, by its sounds.
    """
    found: dict[tuple[bool, str], View] = {}
    for number, view in enumerate(originals(text)):
        normal = undisguised(view)
        for one in [normal] if number else [view, normal]:
            found.setdefault((False, one.text), one)
    for view in originals(text) if pinyin else ():
        heard = spoken(undisguised(view))
        found.setdefault((True, heard.text), heard)
    return tuple(found.values())
