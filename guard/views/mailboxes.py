"""E-mail addresses whose signs are written as words or otherwise: name(at)host(dot)com."""

from __future__ import annotations

import re
from collections.abc import Iterator

from guard.views.model import View
from judge.embedded import pii, pii_context

_NAME = r"(?<![A-Za-z0-9._%+\-])[A-Za-z0-9][A-Za-z0-9._%+\-]{1,63}"
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?"
_TOPS = ("com", "cn", "net", "org", "edu", "gov")
_TOP = rf"(?:{'|'.join(_TOPS)})(?![A-Za-z0-9\-])"
# What is written for a sign, so that nobody writes it there for another reason, and words.
_AT = (
    r"(?: ?[(\[{<【]{1,2} ?(?:at|@|艾特|a) ?[)\]}>】]{1,2} ?| ?(?:艾特|爱特|小老鼠|圈a?) ?"
    r"| @ |@[@ \n]|(?:\*\*|`|</?[a-z]{1,9}>)*@(?:\*\*|`|</?[a-z]{1,9}>)*|_at_)"
)
_DOT = r"(?: ?[(\[{<【]{1,2} ?(?:dot|\.|点) ?[)\]}>】]{1,2} ?| dot | ?[点。·] ?| ?\. ?|_dot_)"
_SIGN = "[@#$&*^◎⊙☆★\U0001f300-\U0001faff]"
_PARTED = rf"{_HOST}(?:{_DOT}{_HOST}){{0,2}}{_DOT}{_TOP}"
_LETTER, _SPELLED = r"[A-Za-z0-9._\-]", r"((?: [A-Za-z0-9\-]){2,20} \.(?: [A-Za-z]){2,4})"
# Each with strings of which it needs one: they are quick to find.
_PATTERNS = tuple(
    (needed, re.compile(pattern, re.IGNORECASE))
    for needed, pattern in (
        (
            (
                "@",
                "特",
                "at)",
                "at]",
                "at}",
                "AT)",
                "AT]",
                "t_",
                "T_",
                "t )",
                "t ]",
                "a)",
                "小老鼠",
                "圈",
            ),
            rf"({_NAME}){_AT}({_PARTED})",
        ),
        (
            (" dot ", " DOT ", " Dot ", " 点 "),
            rf"({_NAME}) at ({_HOST}(?: (?:dot|点) {_HOST}){{0,2}} (?:dot|点) {_TOP})",
        ),
        (
            (".com", ".cn", ".net", "点com", "点cn", ".COM", ",com", ",cn"),
            rf"({_NAME}){_SIGN}({pii_context.MAILER}(?:{_DOT}|,)(?:com|cn|net)(?![A-Za-z0-9\-]))",
        ),
        (
            (" @ ",),
            rf"(?<![A-Za-z0-9])({_LETTER} (?:{_LETTER} ){{2,40}})@{_SPELLED}(?![A-Za-z0-9])",
        ),
    )
)
_DOTS = re.compile(rf"{_DOT}|,", re.IGNORECASE)
_WRITTEN = (*_TOPS, "COM", "CN", "c o m", "c n")


def find(view: View) -> Iterator[pii.Found]:
    """The addresses in a view that the rule for plain ones doesn't see, with offsets."""
    text = view.text
    if not any(top in text for top in _WRITTEN):
        return
    for needed, pattern in _PATTERNS:
        for found in pattern.finditer(text) if any(one in text for one in needed) else ():
            address = f"{found[1]}@{_DOTS.sub('.', found[2])}".replace(" ", "")
            known = address == found[0] or pii_context.is_no_mailbox(address, 0, len(address))
            if not known:
                yield pii.Found("pii:email", *found.span())
