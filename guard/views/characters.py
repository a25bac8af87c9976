"""Characters that stand for others, undone: `guard.views.alike` holds which."""

from __future__ import annotations

from guard.views.alike import tables
from guard.views.model import View


def unmasked(view: View) -> View:
    """Traditional characters as simplified ones, look-alikes as what they look like."""
    for step, to in tables():
        text = view.text.translate(to)
        if text != view.text:
            view = view.same_length(step, text)
    return view
