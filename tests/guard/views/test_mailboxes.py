"""Addresses that a reader would write to, and what only resembles one."""

from __future__ import annotations

import pytest

from guard.evidence import Scanner


def kinds(text: str) -> set[str]:
    return {found.kind for found in Scanner.shipped().scan(text)}


@pytest.mark.parametrize(
    "address",
    [
        "zhangsan艾特qq点com",
        "zhangsan 艾特 qq 点 com",
        "zhangsan(at)qq.com",
        "zhangsan [at] qq [dot] com",
        "zhangsan{at}qq{dot}com",
        "zhangsan at qq dot com",
        "zhangsan AT qq DOT com",
        "zhangsan_at_qq_dot_com",
        "zhangsan小老鼠qq.com",
        "zhangsan#qq.com（#换成@）",
        "zhangsan🐌qq.com",
        "zhangsan@qq。com",
        "zhangsan @ qq . com",
        "z h a n g s a n @ q q . c o m",
        "**zhangsan**@**qq.com**",
        "zhangsan<span>@</span>qq.com",
        "zhangsan@<b>qq</b>.com",
        "zhangsan<!-- -->@<!-- -->qq.com",
        "zhangsan@ qq.com",
        "zhangsan@\nqq.com",
        "zhangsan@@qq.com",
        "zhangsan@qq,com",
        "zhangsan&qq.com（&换成@）",
        "zhangsan$163.com",
        "zhangsan圈qq.com",
    ],
)
def test_an_address_is_found_whose_signs_are_written_otherwise(address: str) -> None:
    """A program that harvests addresses is kept out so, and a guard isn't."""
    assert "pii:email" in kinds(f"写信到{address}")


@pytest.mark.parametrize(
    "text",
    [
        "git@github.com:a/b.git",
        "user(at)example.com",
        "noreply at github dot com",
        "Look at google.com or log in at outlook.com.",
        "我用gmail,outlook.com和qq.com",
        "请艾特我，网址 a.com",
        "see page#section.html and c#.net",
        "Thanks @medium.com",
        "an @gmail.com address, q=1&qq.community",
        "邮箱后缀有@qq,@163,@126",
        "<p>a@</p><p>b.com</p>",
    ],
)
def test_what_only_resembles_an_address_is_none(text: str) -> None:
    """Sites, remotes, examples and mentions are no mailboxes."""
    assert "pii:email" not in kinds(text)
