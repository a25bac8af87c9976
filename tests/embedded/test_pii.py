from __future__ import annotations

import datetime as dt
import random
import sys
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.provisional import get_top_level_domains

from judge.embedded.evidence import find_evidence
from judge.embedded.fold import fold
from judge.embedded.pii import find, is_card, is_resident_id

PROVINCES = ["11", "31", "44", "51", "65", "81"]
CHECK = "10X98765432"
FACTORS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]  # as the standard tabulates them


def kinds(text: str) -> list[str]:
    return [found.kind for found in find(fold(text).text)]


def with_check_digit(body: str) -> str:
    return body + CHECK[sum(f * int(d) for f, d in zip(FACTORS, body, strict=True)) % 11]


def luhn(body: str) -> str:
    total = 0
    for place, digit in enumerate(reversed(body)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return body + str(-total % 10)


@st.composite
def resident_ids(draw: st.DrawFn) -> str:
    day = draw(st.dates(dt.date(1930, 1, 1), dt.date(2024, 12, 31)))
    area = draw(st.sampled_from(PROVINCES)) + f"{draw(st.integers(100, 9999)):04d}"
    return with_check_digit(area + day.strftime("%Y%m%d") + f"{draw(st.integers(0, 999)):03d}")


@given(resident_ids(), st.sampled_from(["", "我的身份证号是", "身份证："]))
def test_a_valid_identity_number_is_found(number: str, before: str) -> None:
    """Whatever stands around it, as long as it isn't part of a longer number."""
    text = f"{before}{number}，请保密"
    (found,) = find(text)
    assert found == ("pii:id", len(before), len(before) + 18)


@given(resident_ids(), st.integers(0, 16))
def test_an_identity_number_with_one_wrong_digit_is_none(number: str, place: int) -> None:
    """The check digit catches every single wrong digit."""
    wrong = number[:place] + str((int(number[place]) + 1) % 10) + number[place + 1 :]
    assert not is_resident_id(wrong)


def test_the_published_example_is_valid() -> None:
    """The example of GB 11643-1999."""
    assert is_resident_id("11010519491231002X")
    assert is_resident_id("440524188001010014") is False  # born before 1900
    assert not is_resident_id("110105194902310021")  # the 31st of February


def test_random_digits_are_not_taken_for_personal_data() -> None:
    """Of 20,000 random 18-digit runs hardly any passes; 3 in 100,000 do on average."""
    rng = random.Random(0)
    runs = ["".join(rng.choices("0123456789", k=18)) for _ in range(20_000)]
    assert sum(bool(kinds(run)) for run in runs) <= 5


@given(st.text("0123456789", min_size=20, max_size=60))
def test_a_part_of_a_longer_run_of_digits_is_nothing(digits: str) -> None:
    """An order number that holds a mobile number isn't one."""
    assert kinds(digits) == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("打我电话13800138000。", "pii:mobile"),
        ("138-0013-8000", "pii:mobile"),
        ("138 0013 8000", "pii:mobile"),
        ("１３８００１３８０００", "pii:mobile"),
        ("1\u200b3\u200b8\u200b00138000", "pii:mobile"),
        ("1-3-8-0-0-1-3-8-0-0-0", "pii:mobile"),
        ("+86 13800138000", "pii:mobile"),
        ("+8613800138000", "pii:mobile"),
        ("写信到 someone.else+x@mail.example-shop.cn 即可", "pii:email"),
        ("11010519491231002x", "pii:id"),
        ("110105 19491231 002X", "pii:id"),
        ("银行卡号：4111 1111 1111 1111", "pii:card"),
        ("my card is 4111-1111-1111-1111", "pii:card"),
        ("卡号 4111 1111 1111 1111 123", "pii:card"),
        ("银行卡 411111 1111111111", "pii:card"),
        ("卡号 4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "pii:card"),
        ("建行 6222020000000000000", "pii:card"),
        ("工商银行 6222020000000000000", "pii:card"),
        ("008613812345678", "pii:mobile"),
        ("0086 13812345678", "pii:mobile"),
    ],
)
def test_personal_data_is_found_through_spacing_and_disguise(text: str, kind: str) -> None:
    """Separators, full-width digits and zero-width characters don't hide it."""
    assert kinds(text) == [kind]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("加V13812345678", "pii:mobile"),
        ("tel13812345678", "pii:mobile"),
        ("微信wx13812345678", "pii:mobile"),
        ("QQ13812345678", "pii:mobile"),
        ("call_13812345678", "pii:mobile"),
        ("call13812345678now", "pii:mobile"),
        ("手机13812345678vx同号", "pii:mobile"),
        ("13812345678WX", "pii:mobile"),
        ("打电话13812345678ok", "pii:mobile"),
        ("userPhone13812345678", "pii:mobile"),
        ("我的_13812345678_别忘了", "pii:mobile"),
        ("张三_13812345678_李四", "pii:mobile"),
        ("ID11010519491231002X", "pii:id"),
        ("sfz_11010519491231002X", "pii:id"),
        ("visa4111111111111111", "pii:card"),
        ("https://wa.me/8613812345678", "pii:mobile"),
        ("https://a.cn/13812345678", "pii:mobile"),
        ("联系 zhang@qq.com:好的", "pii:email"),
        ("https://zhangsan@qq.com", "pii:email"),
        ("mailto:zhang@qq.com", "pii:email"),
        ("youraunt@qq.com", "pii:email"),
        ("myemma@domain.com.evil.cn", "pii:email"),
        ("xx_li@testing.cn", "pii:email"),
        ("1.13812345678", "pii:mobile"),
        ("联系人：\n12.13812345678", "pii:mobile"),
        ("zhangsan@qq.com.png", "pii:email"),
        ("ssh 连不上就写信给 zhangsan@huanyu.com", "pii:email"),
        ("ssh me: zhangsan@huanyu.com", "pii:email"),
        ("ssh zhangsan@qq.com", "pii:email"),
        ("scp it, then write to li.wei@huanyu.com.cn", "pii:email"),
        ("git push 失败请联系 li.wei@huanyu.com: 在线", "pii:email"),
        ("zhangsan@2x.com", "pii:email"),
        ("zhangsan@png.com", "pii:email"),
        ("zhangsan@internal.huanyu.com", "pii:email"),
        ("zhangsan@amazonaws.com", "pii:email"),
    ],
)
def test_personal_data_is_found_where_a_word_is_joined_to_it(text: str, kind: str) -> None:
    """A label runs into the number, a link holds it, or it is an item of a list."""
    assert kinds(text) == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "git clone git@github.com:user/repo.git",
        "scp a.txt root@host.example.cn:/tmp/",
        "postgres://user:pass@db.company.cn/db",
        "ssh://git@gitlab.cn/x.git",
        "https://token@github.com/user/repo.git",
        "请将 user@example.com 替换为您的邮箱",
        "x@mail.example.org，y@some.test，z@some.invalid",
        "noreply@github.com",
        "sender = 'your_email@gmail.com'",
        "your-name@163.com，myemail@qq.com",
        "邮箱：xxx@xxx.com，xxxx@qq.com",
        "user@domain.com、admin@yourcompany.com、hr@your-domain.com.cn",
        "test@test.com, foo@bar.com, someone@company.com",
        "张三 zhangsan@example.cn",
        "icon@2x.png",
        "Default-568h@2X.PNG",
        'background-image: url("/img/bg@3x.webp");',
        "logo@2x.ai",
        "a@main.yml",
        "hello@world.java",
        "ssh deploy@my-server.internal",
        "user@nas.local，root@redis.default.svc",
        "ssh deploy@web.huanyu.cn",
        "用ssh -i ~/.ssh/id_rsa -p 22 deploy@web.huanyu.cn登录",
        "sftp 'deploy@web.huanyu.cn'",
        "scp -r dist deploy@web.huanyu.cn:www",
        "rsync -avz --delete ./dist deploy@web.huanyu.cn:www",
        "git clone deploy@code.huanyu.cn:site.git",
        "[deploy@web.huanyu.cn ~]$ ls",
        "ubuntu@ec2-3-14-15-92.compute.amazonaws.com",
        "ec2-user@ec2-3-14-15-92.cn-north-1.compute.amazonaws.com.cn",
        "azureuser@vm.eastasia.cloudapp.azure.com",
        "圆周率 3.13812345678",
        "0.13812345678 是概率",
        "0.13812345678",
        "1.0.15012345678",
        "误差为\n100.13812345678",
        "版本 1.0.15012345678",
        "https://weibo.com/u/13812345678",
        "https://item.taobao.com/item.htm?id=13812345678",
        "a13812345678f",
        "9f13812345678",
        "deadbeef13812345678",
        "3f2504e0-4f89-41d3-9a0c-13812345678a",
        "SN13812345678901",
        "SN13812345678",
        "IMG_13812345678.jpg",
        "13812345678_1.jpg",
        "eyJ13812345678",
        "0x13812345678",
    ],
)
def test_addresses_of_machines_and_other_numbers_are_left_alone(text: str) -> None:
    """Remotes, logins, files, names kept for examples, fractions, pages, hashes, serial numbers."""
    assert kinds(text) == []


def test_no_public_domain_is_taken_for_the_ending_of_a_file() -> None:
    """Of those to which mail goes: `.java` and `.map` are brands' own."""
    tops = [top.lower() for top in get_top_level_domains() if top.isalpha()]
    assert len(tops) > 1000
    missed = {top for top in tops if kinds(f"li.wei@huanyu.{top}") != ["pii:email"]}
    assert missed == {"java", "map"}


@pytest.mark.parametrize(
    "text",
    [
        "华为 186 2023 2024 41",
        "07-29 137 4443 8628",
        "178 6739 4950 65.7 python3",
        "1 150 1024 2048 4096",
        "173\t28604753\t193\t45",
        "model-150-1024-2048-7",
        "2^34 = 17179869184",
        "1500000-2000=1498000",
        "16 GiB = 17179869184 B",
        "文件大小 13632000137 字节",
        "17179869184 bytes",
        "营业收入 19901735720.69",
        "营业收入 19901735720 元",
        "营业收入19901735720元。",
        "131072 * 131072 = 17179869184",
        "分别为 150 2000 3000 4000元",
        "150 2000 3000 4000 2024 2025年",
        "净利润13157876202美元",
    ],
)
def test_figures_in_a_row_sums_and_amounts_are_no_telephone_numbers(text: str) -> None:
    """Lines of tables, powers of two, sizes of files, a company's turnover."""
    assert kinds(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "姓名 年龄 手机\n张三 25 138 1234 5678",
        "138 1234 5678 139 1234 5678",
        "86 138 1234 5678 86 139 1234 5678",
        "电话 13812345678元旦也打得通",
        "手机13812345678.00",
        "tel1=13812345678",
        "电话2=13812345678",
        "13812345678/13912345678",
        "13812345678 8:00-18:00",
        "13812345678 B座302",
        "13812345678元旦快乐",
        "13812345678 元元妈妈",
        "13812345678字节跳动 王总",
        "有事找13812345678.10点以后",
        "1=13812345678\n2=13912345678",
        "+86 138 1234 5678 301",
        "(+86) 138 1234 5678 301",
        "010-12345678 138 1234 5678",
        "400-800-1234 138 1234 5678",
        "138 1234 5678 010-12345678",
        "幸福楼2-301 138 1234 5678",
        "房号:1203 138 1234 5678",
        "138 1234 5678 2024-01-01",
        "138 1234 5678 2024年1月1日到",
        "138 1234 5678 3点后打",
        "138 1234 5678 2栋301",
        "收件人 张三 幸福路5号楼2-301 138 1234 5678",
        "邮编：100089 138 1234 5678",
        "QQ 12345678 138 1234 5678",
    ],
)
def test_a_telephone_number_is_found_among_other_figures(text: str) -> None:
    """Beside a word about telephones or another number, and where it only seems to be counted."""
    assert set(kinds(text)) == {"pii:mobile"}


def test_an_identity_number_and_the_telephone_number_beside_it_are_both_found() -> None:
    assert kinds("张三 110105 19491231 0011 138 1234 5678") == ["pii:id", "pii:mobile"]


@pytest.mark.parametrize(
    "text",
    [
        "卡号：4111 1111 1111 1111 1226 123",
        "银行卡 4111-1111-1111-1111-1226",
        "卡号:4111 1111 1111 1111 123456",
        "我的卡是 4111 1111 1111 1111 2024-01-01",
        "visa 4111 1111 1111 1111 0827 123",
        "卡号 411 111111 1111111",
        "工行 4111 1111 1111 1111 13812345678",
        "招行 4111 1111 1111 1111 138 1234 5678",
    ],
)
def test_a_card_is_found_among_other_figures(text: str) -> None:
    """Named directly before it, or with a telephone number behind: no row of a table."""
    assert "pii:card" in kinds(text)


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1111",  # passes Luhn, but nothing speaks of a card
        "银行卡号：4111 1111 1111 1112",
        "银行存款 4958 7915 9318 4110 5970",
        "银行 存款 贷款\n工行 12 4817 5182 1531 2154",
        "银行账户流水\n467 31 96069 5471 92",
        "显卡 4060 4070 4080 4094 5070 5080",
        "12800138000",
        "订单号 138001380001",
        "版本 1.3.8，共 13 页，2023-11-24 10:00",
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20",
        "id=a13800138000",
        "13800138000abc",
        "@someone 你好 @ example.com",
        "a@b",
        "",
    ],
)
def test_what_only_looks_like_personal_data_is_left_alone(text: str) -> None:
    """No context, no check digit, another length, or part of a token."""
    assert kinds(text) == []


@given(st.sampled_from(["62", "4", "51"]), st.text("0123456789", min_size=14, max_size=14))
def test_a_card_needs_prefix_check_digit_and_context(prefix: str, body: str) -> None:
    """A run with issuer prefix and check digit counts beside a word about cards alone."""
    number = luhn((prefix + body)[:15])
    assert is_card(number)
    assert kinds(f"储蓄卡 {number}") == ["pii:card"] or is_resident_id(number)
    assert "pii:card" not in kinds(f"编号 {number}")


@given(st.text(max_size=30), st.text(max_size=30))
def test_evidence_points_into_the_original_text(before: str, after: str) -> None:
    """The quote is what stands at its offsets, whatever stands around it."""
    text = f"{before}，１３８ ００１３ ８０００，{after}"
    (found,) = find_evidence([fold(text)], None)
    assert all(one.quote == text[one.start : one.end] for one in found)
    assert "pii:mobile" in {one.kind for one in found}


@pytest.mark.parametrize(
    "piece", ["1 ", "1", "a@", "a.", "1-", "13 ", "a_", "http://", "a://a@b.cn:a"]
)
def test_the_rules_take_linear_time_on_hostile_text(piece: str) -> None:
    """Ten times the digits, separators and signs cost about ten times the work."""

    def cost(times: int) -> float:
        start = time.thread_time()
        assert list(find(piece * times + "x@b")) == []
        return time.thread_time() - start

    cost(100)
    assert cost(40_000) < 40 * max(cost(4_000), 0.005)


@pytest.mark.parametrize("row", ["1-", "1 ", "4 ", "6-2-", "1 3 8 1 2 3 4 5 6 7 8 9 "])
def test_a_row_of_digits_is_no_number_and_takes_no_long_time(row: str) -> None:
    """Single digits in a row are a table's; a number to dial stands by itself."""
    text = row * (100_000 // len(row))
    begun = time.thread_time()
    assert "pii:mobile" not in kinds(text)
    assert time.thread_time() - begun < 2


def test_digits_are_tried_as_cards_only_beside_the_word_about_them() -> None:
    """One word before a megabyte of digits is no reason to add up each of them five times."""
    tried = 0

    def count(frame: Any, event: str, _: Any) -> None:
        nonlocal tried
        tried += event == "call" and frame.f_code is is_card.__code__

    sys.setprofile(count)
    try:
        kinds("卡号 " + "4 " * 2_000)
    finally:
        sys.setprofile(None)
    assert 0 < tried < 200
