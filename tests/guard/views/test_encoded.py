from __future__ import annotations

import base64
import binascii
import html
import json
from urllib.parse import quote

import pytest

from guard.evidence import Scanner
from tests.guard.views.seen import views

SAID = "刷单兼职，日赚300，加微信，手机就能做"
SEEN = "刷单兼职,日赚300,加微信,手机就能做"  # folded


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def in_groups(text: str, size: int, between: str) -> str:
    return between.join(text[at : at + size] for at in range(0, len(text), size))


@pytest.mark.parametrize(
    "written",
    [
        quote(SAID),
        "https://a.cn/?q=" + quote(SAID),
        "".join(f"%u{ord(char):04X}" for char in SAID),
        "".join(f"\\x{byte:02x}" for byte in SAID.encode()),
        "".join(f"\\{byte:03o}" for byte in SAID.encode()),
        "=" + "=".join(f"{byte:02X}" for byte in SAID.encode()),
        " ".join(f"U+{ord(char):04X}" for char in SAID),
        "".join(f"\\u{{{ord(char):x}}}" for char in SAID),
        "".join(f"\\{ord(char):04x} " for char in SAID),
        json.dumps(SAID),
        json.dumps(json.dumps(SAID)),
        html.escape("".join(f"&#{ord(char)};" for char in SAID)),
        html.escape(html.escape("".join(f"&#x{ord(char):x};" for char in SAID))),
        "&nbsp;".join(SAID),
        "%20".join(SAID),
        "\\n".join(SAID),
        binascii.hexlify(SAID.encode()).decode(),
        SAID.encode().hex(" "),
        ", ".join(f"0x{byte:02x}" for byte in SAID.encode()),
        in_base64(SAID.encode()),
        in_base64(in_base64(SAID.encode()).encode()),
        in_base64(in_base64(in_base64(SAID.encode()).encode()).encode()),
        in_base64(quote(SAID).encode()),
        in_base64(SAID.encode("gbk")),
        in_base64(SAID.encode("utf-16-le")),
        in_base64(SAID.encode("utf-16-be")),
        in_base64(SAID.encode("utf-16")),
        " ".join(in_base64(SAID.encode())),
        in_groups(in_base64(SAID.encode()), 4, " "),
        in_groups(in_base64(SAID.encode()), 8, "\n"),
        in_base64(SAID.encode())[:40] + "\n    " + in_base64(SAID.encode())[40:],
        "data:text/plain;base64," + in_base64(SAID.encode()),
    ],
)
def test_what_an_encoding_says_is_read(written: str) -> None:
    """Escapes of URLs, programs, pages and mails, hexadecimal, Base64, also inside each other."""
    read = "".join(char for view in views(written) for char in view.text if char not in " \n")
    assert "".join(SEEN.split()) in read
    assert Scanner.shipped().scan(written)


MOBILE = b"13812345678"


@pytest.mark.parametrize(
    "written",
    [
        in_base64(MOBILE),
        f"手机 {in_base64(MOBILE)}",
        f"data:text/plain;base64,{in_base64(MOBILE)}",
        in_base64(b"138-1234-5678"),
        MOBILE.hex(),
        b"phone 138-1234-5678".hex(),
        b"11010519491231002X".hex(),
        ", ".join(f"0x{byte:02x}" for byte in MOBILE),
        f"手机 {MOBILE.hex(' ')}",
    ],
)
def test_a_number_alone_is_read_behind_an_encoding(written: str) -> None:
    """It is shorter than other messages, and holds no Chinese."""
    for text in (written, f"他说{written}，记得打。"):
        assert {found.kind for found in Scanner.shipped().scan(text)} & {"pii:mobile", "pii:id"}


def test_a_message_that_breaks_off_inside_a_character_is_read_up_to_there() -> None:
    """A streamed answer ends anywhere."""
    cut = quote(SAID)[:-3]
    assert any(SEEN[:-1] in view.text for view in views(cut))


def test_encodings_are_not_followed_for_ever() -> None:
    """Three deep, and no more texts than a few."""
    deep = SAID
    for _ in range(9):
        deep = in_base64(deep.encode())
    assert 1 < len(views(deep)) <= 5
    many = " ".join([quote(quote(SAID)), in_base64(SAID.encode()), SAID.encode().hex()] * 9)
    assert len(views(many)) <= 20


@pytest.mark.parametrize(
    "text",
    [
        "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 校验通过",
        "设备 3f2504e0-4f89-41d3-9a0c-0305e82c3301，MAC 13:81:23:45:67:8A",
        "internationalization of the_long_identifier_names/and/a/path",
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk 一个像素",
        r"正则 ^1[3-9]\d{9}$，公式 \frac{a}{b}，\theta \neq \nu，路径 C:\new\text",
        "增长 50% 和 20%，a=b，c+d，A&B，x % y",
        'print("done\\n")',
        "1, 2, 3, 4, 5, 6, 7, 8, 9, 10",
        "气温 31 33 38 31 32 33 34 35 36 37 38",
        "ages: 31, 33, 38, 31, 32, 33, 34, 35, 36, 37, 38",
        "call(random_generator=3, internationals=4, max_connections=5)",
        "圆周率3.14159265358979323846264338327950288419716939937510",
    ],
)
def test_hashes_numbers_formulas_and_code_say_nothing(text: str) -> None:
    """Nothing is read into ordinary texts of programs and mathematics."""
    assert [view.name for view in views(text)] == ["plain"]


def test_a_benign_message_raises_no_alarm() -> None:
    """What is encoded is judged as if it were written out."""
    said = "今天的会议改到下午三点，请大家带上季度报告准时参加"
    for written in (quote(said), in_base64(said.encode()), in_base64(said.encode("gbk"))):
        assert any(said[:8] in view.text for view in views(written))
        assert not Scanner.shipped().scan(written)
