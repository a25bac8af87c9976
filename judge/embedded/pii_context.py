"""What stands around a number or an address, and tells whether it is personal data at all."""

from __future__ import annotations

import re

# Words that people write directly before their number: tel138..., V138..., wx_138...
_LABEL = re.compile(
    r"vv?|vx|wx|wechat|wei|xin|weixin|qq?|tel|telephone|phone|mobile|mob|cell|cellphone|hp|call|sms"
    r"|text|dial|ring|contact|fax|number|whatsapp|wa|telegram|tg|zalo|dianhua|dh|shouji|sj|haoma"
    r"|lianxi|sfz|shenfenzheng|card|visa|mastercard|unionpay|bank|account|acct|alipay|zfb|zhifubao"
    r"|pay|to|from|at|is|me|my|jia",
    re.IGNORECASE,
)
# Those behind which people run on: call138...now.
_SPOKEN = re.compile(
    r"tel|telephone|phone|mobile|cell|call|sms|dial|vx|wx|wechat|weixin|qq", re.IGNORECASE
)
_MOST_LETTERS = 16  # of a label
_WORD = re.compile(r"[A-Za-z_]*\Z")
_CAMEL = re.compile(r"[A-Za-z][a-z]*|[A-Z]+")
_TAIL = re.compile(r"_*(?![A-Za-z0-9_])")
_LETTERS_AFTER = re.compile(r"[A-Za-z]{1,16}(?![A-Za-z0-9_])")
_PAGE = re.compile(
    r"https?://[!-~]{0,150}(?:/(?:u|user|users|uid|profile|p|post|posts|t|thread|topic|status"
    r"|item|items|product|goods|article|a|news|note|detail|video|question|answer|issues|order)/"
    r"|[?&](?:[a-z]+_)?id=)\Z",
    re.IGNORECASE,
)
_NOBODY = re.compile(r"(?:no|do-?not)[._\-]?reply", re.IGNORECASE)
# Names that RFC 2606 and RFC 6761 keep for examples and tests.
_RESERVED = re.compile(
    r"(?:[@.]example\.(?:com|net|org)|\.(?:example|test|invalid|localhost))\Z", re.IGNORECASE
)
_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]{0,20})://([^\s/@]{0,64})\Z")
_REMOTE = re.compile(r":(?:[~/]|[\w.\-]{1,64}/[\w./\-]{1,200})", re.ASCII)
_LOOK_BACK = 200
_LISTED = re.compile(r"(?:\A|\n)[1-9][0-9]?\.\Z")


def stands_alone(text: str, start: int, end: int, *, any_word: bool) -> bool:
    """Whether a number isn't a part of a longer token, though a label may be joined to it.

    Args:
        text: a folded text.
        start: where the number starts; no digit stands before it.
        end: where it ends.
        any_word: whether any letters may stand before it, since it has a check digit.
    """
    word = _WORD.search(text, max(start - _MOST_LETTERS - 1, 0), start)
    before = word[0] if word else ""
    label = before.rstrip("_").rsplit("_", 1)[-1]
    if before and not (any_word or _is_label(text, start, before, label)):
        return False
    if _TAIL.match(text, end):
        return True
    return bool(_SPOKEN.fullmatch(label) and _LETTERS_AFTER.match(text, end))


def _is_label(text: str, start: int, before: str, label: str) -> bool:
    if len(before) > _MOST_LETTERS:
        return False
    first = start - len(before)
    joined = text[first - 1 : first] if first else ""
    if joined.isascii() and joined.isalnum():
        return False  # a hash, a serial number
    if not label:
        return True  # _138..._ is set in italics
    last = _CAMEL.findall(label)[-1]  # of userPhone, Phone
    return bool(_LABEL.fullmatch(label) or (len(last) > 1 and _LABEL.fullmatch(last)))


def is_fraction(text: str, start: int) -> bool:
    """Whether the digits from `start` on follow a point, which is not that of a list: 3.14."""
    if start < 2 or text[start - 1] != "." or not "0" <= text[start - 2] <= "9":
        return False
    return _LISTED.search(text, max(start - 5, 0), start) is None


def is_page_number(text: str, start: int) -> bool:
    """Whether the digits from `start` on name a page, an article or an account in a URL."""
    return _PAGE.search(text, max(start - _LOOK_BACK, 0), start) is not None


def is_no_mailbox(text: str, start: int, end: int) -> bool:
    """Whether what looks like an e-mail address is none that a person reads.

    That is: a name kept for examples, a noreply, a remote as of git and scp, the user of a URL.
    """
    address = text[start:end]
    user = address.partition("@")[0]
    if _RESERVED.search(address) or _NOBODY.fullmatch(user):
        return True
    after = text[end : end + 1]
    if after == ":" and (user in {"git", "hg"} or _REMOTE.match(text, end)):
        return True
    url = _USERINFO.search(text, max(start - 100, 0), start)
    if url is None:
        return False
    scheme, password = url[1].lower(), url[2]
    return bool(password) or scheme not in {"http", "https"} or after in {"/", ":"}
