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
# Those behind which people run on, or which stand behind: call138...now, 138...vx.
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
# What people write where the reader is to put their own.
_PLACEHOLDER = re.compile(
    r"(?:(?:your|my)[._\-]?(?:full)?(?:name|g?-?e?-?mail|user(?:name)?|id|account|address)"
    r"|x{2,}|user(?:name)?|sender|receiver|recipient|someone|example|test)@.+"
    r"|.+[@.](?:(?:your|my)[._\-]?(?:domain|company|site|website|server|host|app|e?mail)"
    r"|domain|company|example|test|foo|bar|x{2,})(?:\.[a-z]{2,6}){1,2}",
    re.IGNORECASE,
)
MAILER = (
    r"(?:vip\.)?(?:qq|163|126|139|189|sina|sohu|yeah|foxmail|gmail|hotmail|outlook|aliyun|icloud"
    r"|yahoo|proton(?:mail)?)"
)
"""Those who give a mailbox to anybody, as a pattern of their hosts' names."""
_MAILED = re.compile(rf"@{MAILER}\.[a-z]{{2,3}}(?:\.[a-z]{{2}})?\Z", re.IGNORECASE)
# Last labels that no mail goes to: of files and of private networks. A mailbox may be before them.
_NO_TOP = re.compile(
    r"(?<!\.com)(?<!\.net)(?<!\.org)(?<!\.cn)\.(?:png|jpe?g|gif|webp|svg|bmp|ico|avif|heic|tiff?"
    r"|psd|eps|wav|avi|mkv|flv|pdf|docx?|xlsx?|pptx?|csv|tsv|txt|log|html?|css|s[ac]ss|less|[jt]sx?"
    r"|[cm]js|vue|svelte|wxml|wxss|json|xml|ya?ml|toml|ini|cfg|conf|env|lock|sql|sqlite|java|kts?"
    r"|go|rb|php|cs|cpp|hpp|swift|dart|lua|scala|ipynb|proto|graphql|jar|war|class|exe|dll|apk|ipa"
    r"|dmg|deb|rpm|iso|img|tar|t?gz|xz|rar|whl|ttf|otf|woff|eot|wasm|map|min|bak|tmp|bat|cmd|plist"
    r"|xib|gradle|patch|diff|pem|crt|internal|local|localdomain|lan|intranet|corp|private|svc)\Z"
    r"|@[1-4]x\.(?:ai|md|mov|zip)\Z"  # icon@2x.ai
    r"|\.compute(?:-[0-9])?\.amazonaws\.com(?:\.cn)?\Z|\.cloudapp\.azure\.com\Z",
    re.IGNORECASE,
)
# A user's name on a machine, behind a command and its options, or behind what it copies.
_LOGIN = re.compile(
    r"(?<![\w.\-])(?:ssh(?:-copy-id|fs)?|sftp|mosh)(?: -\w+(?: [^\s\-]\S*)?)* ['\"]?\Z", re.ASCII
)
_COPY = re.compile(
    r"(?<![\w.\-])(?:scp|rsync|git (?:clone|remote add|push|pull))(?: [!-~]+){0,6} ['\"]?\Z",
    re.ASCII,
)
_PROMPT = re.compile(r" [~/][^\s\]]{0,100}\][#$]")
_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]{0,20})://([^\s/@]{0,64})\Z")
_REMOTE = re.compile(r":(?:[~/]|[\w.\-]{1,64}/[\w./\-]{1,200})", re.ASCII)
_LOOK_BACK, _LOOK_AHEAD = 200, 40
_LISTED = re.compile(r"(?:\A|\n)[1-9][0-9]?\.\Z")
_TELEPHONE = (
    r"(?:电话|手机|号码|联系|微信|薇信|[加+][我微薇vV]|短信|打给|拨打|来电|致电|热线|咨询"
    r"|(?<![A-Za-z])(?:tel|phone|mobile|call|whatsapp|wechat|wx|vx|sms)(?![a-z]))"
)
_TELEPHONES = (
    *("电话", "手机", "号码", "联系", "微信", "短信", "打给", "拨打", "来电", "致电", "热线"),
    *("咨询", "tel", "phone", "mobile", "call", "whatsapp", "wechat"),
)
_ABOUT = re.compile(rf"{_TELEPHONE}(?:号码?|方式|[我是为在打发]|[\W_]){{0,6}}\Z", re.IGNORECASE)
_CALLED = re.compile(rf"[\W_]{{0,3}}(?:这?就?是)?(?:我|本人)?的?{_TELEPHONE}", re.IGNORECASE)
_MEASURE = re.compile(
    r" ?(?:[元块岁人年月日万千百套档个米件斤份%]|次(?!日)|通(?![知过常])|名(?!字))"
)
# Words that come with an address to send to, where a telephone number is one of the figures.
_SENT = (*_TELEPHONES, "邮编", "收件", "收货", "寄到", "寄给", "住址", "qq")
_BEFORE = 24
# Behind a sum of money or a size, and beside a sum: 2^34 = 17179869184. No new year, no firm.
_AMOUNT = re.compile(
    r"\.[0-9]{2}(?![0-9.:点号月日岁年])| ?(?:[美港日欧韩]?元(?![旦宵月元])|美金|英镑|字节(?!跳动)"
    r"|[KMGT]?i?B(?![\w])|bytes?(?![a-z]))| ?[=≈≠≤≥] ?[\-(]?[0-9]"
)
_EQUALS = re.compile(r"[+\-*/×÷^(] ?[0-9.]{1,20}[)²³]? ?[=≈] ?\Z|[)²³] ?[=≈] ?\Z")
_CARD = re.compile(
    r"(?:(?<![显声网光磁])卡|[卡帐账]号|\b(?:card|visa|mastercard|unionpay))(?:号码?|[是为]|no|number|[\W_]){0,6}\Z",
    re.IGNORECASE,
)
# No figures of a table: a telephone at home or a firm's, a day, an hour, a house.
_AT_HOME = r"(?:0[1-9][0-9]{1,2}-[0-9]{7,8}|[48]00-[0-9]{3}-[0-9]{4})"
_DAY_OR_PLACE = re.compile(
    rf"{_AT_HOME}(?![0-9])|[0-9]{{1,4}}(?:年[0-9]{{1,2}}月|[月日号点楼栋座室岁])"
    r"|20[0-9]{2}-[01][0-9]-[0-3][0-9](?![0-9])"
)
_PLACE = re.compile(
    rf"(?<![0-9]){_AT_HOME}\Z|(?:[房工学]号|[楼栋幢座室])[\W_]?[0-9]{{1,8}}(?:-[0-9]{{1,4}}){{0,2}}\Z"
)


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
    after = _LETTERS_AFTER.match(text, end)
    if after is None:
        return False
    if _SPOKEN.fullmatch(label) or _SPOKEN.fullmatch(after[0]):  # 138...vx
        return True
    return not before and bool(_ABOUT.search(text, max(start - _BEFORE, 0), start))


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


def _is_fraction(text: str, start: int) -> bool:
    """Whether the digits from `start` on follow a point, which is not that of a list: 3.14."""
    if start < 2 or text[start - 1] != "." or not "0" <= text[start - 2] <= "9":
        return False
    return _LISTED.search(text, max(start - 5, 0), start) is None


def _is_page_number(text: str, start: int) -> bool:
    """Whether the digits from `start` on name a page, an article or an account in a URL."""
    return _PAGE.search(text, max(start - _LOOK_BACK, 0), start) is not None


def is_fraction_or_page(text: str, start: int) -> bool:
    """Whether digits from `start` on are no number of their own, by what is before."""
    return _is_fraction(text, start) or _is_page_number(text, start)


def is_amount(text: str, start: int, end: int) -> bool:
    """Whether digits are an amount or part of a sum, and no word about telephones is before."""
    counted = _AMOUNT.match(text, end) or _EQUALS.search(text, max(start - _BEFORE, 0), start)
    return bool(counted) and not _ABOUT.search(text, max(start - _BEFORE, 0), start)


def is_about(text: str, start: int, end: int) -> bool:
    """Whether a word about telephones stands directly beside a number, and no measure."""
    if _MEASURE.match(text, end):
        return False
    return bool(_ABOUT.search(text, max(start - _BEFORE, 0), start) or _CALLED.match(text, end))


def speaks_of_telephones(text: str, start: int, end: int) -> bool:
    """Whether a word that comes with telephone numbers is near, as in the head of a table."""
    near = text[max(start - _LOOK_BACK, 0) : end + _LOOK_AHEAD].lower()
    return any(word in near for word in _SENT)


def is_called_card(text: str, start: int) -> bool:
    """Whether a word for a card stands directly before the digits from `start` on."""
    return _CARD.search(text, max(start - _BEFORE, 0), start) is not None


def is_day_or_place(text: str, start: int) -> bool:
    """Whether the figures from `start` on are a day, an hour, a house: none of a table."""
    return _DAY_OR_PLACE.match(text, start) is not None


def ends_place(text: str, end: int) -> bool:
    """Whether the figures up to `end` are a house, a room, a telephone at home."""
    return _PLACE.search(text, max(end - _BEFORE, 0), end) is not None


def has_country_code(text: str, start: int) -> bool:
    """Whether a number from `start` on has +86 at its beginning or before it: (+86) 138..."""
    return "+86" in text[max(start - 5, 0) : start + 2]


def is_no_mailbox(text: str, start: int, end: int) -> bool:
    """Whether what looks like an e-mail address is none that a person reads.

    That is: a name kept for examples, one that only holds a place, a noreply, a file's name, a
    remote as of git and scp, the user of a machine or of a URL.
    """
    address = text[start:end]
    user = address.partition("@")[0]
    if _RESERVED.search(address) or _NOBODY.fullmatch(user) or _PLACEHOLDER.fullmatch(address):
        return True
    if _NO_TOP.search(address) or _is_login(text, start, end):
        return True
    after = text[end : end + 1]
    if after == ":" and (user in {"git", "hg"} or _REMOTE.match(text, end)):
        return True
    url = _USERINFO.search(text, max(start - 100, 0), start)
    if url is None:
        return False
    scheme, password = url[1].lower(), url[2]
    return bool(password) or scheme not in {"http", "https"} or after in {"/", ":"}


def _is_login(text: str, start: int, end: int) -> bool:
    """Whether it is a user's name on a machine, in a command or a prompt, and no known mailbox."""
    if _MAILED.search(text, start, end):
        return False
    before = max(start - _LOOK_BACK, 0), start
    copied = text.startswith(":", end) and _COPY.search(text, *before)
    return bool(copied or _LOGIN.search(text, *before) or _PROMPT.match(text, end))
