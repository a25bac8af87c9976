"""Numbers that a reader would dial, and lists, measures and decimals that nobody would."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from functools import cache

import pytest

from guard.evidence import Scanner

MOBILE, ID, CARD = "13812345678", "11010519491231002X", "4111111111111111"
PINYIN = ["ling", "yi", "er", "san", "si", "wu", "liu", "qi", "ba", "jiu"]
CHARACTERS = "零医尔伞死舞柳妻爸酒"


@cache
def scanner() -> Scanner:
    return Scanner.shipped(sounds=True)


def kinds(text: str) -> set[str]:
    return {found.kind for found in scanner().scan(text)}


def read_out(number: str, digits: Sequence[str], between: str = "") -> str:
    return between.join([digits[int(digit)] for digit in number])


def written(digits: str) -> str:
    return read_out(MOBILE, digits)


@pytest.mark.parametrize(
    "number",
    [
        "一三八 空格 1234 5678",
        "138空格1234空格5678",
        "前三位138，中间1234，最后5678",
        "138后面是1234再后面5678",
        "138—1234—5678",
        "138·1234·5678",
        "138_1234_5678",
        "138 - 1234 - 5678",
        "(138)1234-5678",
        "【138】【1234】【5678】",
        "138**1234**5678",
        "<b>138</b><b>1234</b><b>5678</b>",
        "138😀1234😀5678",
        "😀".join(MOBILE),
        "苹果".join(MOBILE),
        "(" + ")(".join(MOBILE) + ")",
        "008613812345678",
        "1三8一2三4五6七8",
        "1叁8壹2叁4伍6柒8",
        "①参8壹2参4伍6柒8",
        "13八1二3四5六7八",
        "1一2三3八4一5二6三7四8五9六10七11八",
        "l38I2345678",
        "l38-1234-5678",
        "前三位：138\n中四位：1234\n后四位：5678",
        "前六位138123，后五位45678",
        "138开头，接下来是1234，最后四位是5678",
        "的".join(MOBILE),
        "a".join(MOBILE),
        "<span>138</span><span>1234</span><span>5678</span>",
        '<span class="a">138</span><span class="b">1234</span><span class="c">5678</span>',
        "138<!-- -->1234<!-- -->5678",
        "138OO138OOO",
        "yi san ba yi er san si wu liu qi ba",
        "one three eight one two three four five six seven eight",
        written("零医尔伞死舞柳妻爸酒"),
        written("洞幺两三四五六拐八勾"),
        written("零壹貳參肆伍陸柒捌玖"),
        written("〇〡〢〣〤〥〦〧〨〩"),
        written("⓿❶❷❸❹❺❻❼❽❾"),
        written("⓪⓵⓶⓷⓸⓹⓺⓻⓼⓽"),
        written("0➀➁➂➃➄➅➆➇➈"),
        written("0⑴⑵⑶⑷⑸⑹⑺⑻⑼"),
    ],
)
def test_a_mobile_number_is_found_behind_words_marks_and_other_digits(number: str) -> None:
    """What a reader can dial needs no word about telephones beside it."""
    assert kinds(f"好的，{number}。") == {"pii:mobile"}


@pytest.mark.parametrize("numerals", ["〇一二三四五六七八九", "零壹贰叁肆伍陆柒捌玖"])
def test_digits_and_numerals_may_stand_for_each_other_in_any_places(numerals: str) -> None:
    """Read as digits they are a number; as numbers before characters they would be gone."""
    for number, kind in ((MOBILE, "pii:mobile"), (ID, "pii:id"), (CARD, "pii:card")):
        for mask in random.Random(0).sample(range(2 ** len(number)), 200):
            pairs = enumerate(number)
            mixed = [numerals[int(d)] if mask >> n & 1 and d != "X" else d for n, d in pairs]
            assert kind in kinds(f"卡号或电话：{''.join(mixed)}，谢谢"), mixed


@pytest.mark.parametrize(
    "number",
    [
        "138、1234、5678",
        "138,1234,5678",
        "138/1234/5678",
        "138*1234*5678",
        "138\n1234\n5678",
        "13 81 23 45 67 8",
        "1381 2345 678",
        '"138"+"1234"+"5678"',
        "013812345678",
        "0138-1234-5678",
        "、".join(MOBILE),
        "[" + ", ".join(MOBILE) + "]",
    ],
)
def test_what_may_be_a_list_is_a_number_beside_a_word_about_telephones(number: str) -> None:
    """Commas, slashes and lines part lists too, unless somebody is to be called."""
    assert kinds(f"我的电话：{number}") == {"pii:mobile"}
    assert kinds(f"答案是：{number}") == set()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (" ".join(ID), "pii:id"),
        ("、".join(ID), "pii:id"),
        ("110105/19491231/002X", "pii:id"),
        ("110105空格19491231空格002X", "pii:id"),
        ("110105（1949年12月31日生）002X", "pii:id"),
        ("前六位110105，生日19491231，后四位002X", "pii:id"),
        ("11010519491231002叉", "pii:id"),
        ("银行卡4111/1111/1111/1111", "pii:card"),
        ("卡号4111—1111—1111—1111", "pii:card"),
        ("卡号：`4111` `1111` `1111` `1111`", "pii:card"),
        ("银行卡**4111**1111**1111**1111**", "pii:card"),
        ("卡号<span>4111</span><span>1111</span><span>1111</span><span>1111</span>", "pii:card"),
        ("卡号4111🔥1111🔥1111🔥1111", "pii:card"),
        ("打到这张卡 4111111111111111", "pii:card"),
        ("*".join(ID), "pii:id"),
        ("\n".join(ID), "pii:id"),
        ("卡号：" + "*".join(CARD), "pii:card"),
        ("我的银行卡号是" + "\n".join(CARD), "pii:card"),
        ("卡号：" + "、".join(CARD), "pii:card"),
        ("卡号：4111\n1111\n1111\n1111", "pii:card"),
    ],
)
def test_numbers_with_check_digits_are_found_behind_any_marks(text: str, kind: str) -> None:
    """The check digit tells them from lists."""
    assert kinds(text) == {kind}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("11O1O5198806O53216", "pii:id"),
        ("l1o105 l98806o5 32I6", "pii:id"),
        ("sfz11O10519491231002X", "pii:id"),
        ("银行卡41I1l11111111111", "pii:card"),
        ("卡号：4l11-1111-1111-1111", "pii:card"),
        (read_out("110105198806053216", PINYIN, " "), "pii:id"),
        (read_out("110105198806053216", PINYIN), "pii:id"),
        (read_out("110105198806053216", CHARACTERS), "pii:id"),
        (read_out(ID[:-1], PINYIN, " ") + " x", "pii:id"),
        (read_out(ID[:-1], PINYIN) + "cha", "pii:id"),
        (read_out(ID[:-1], CHARACTERS) + "叉", "pii:id"),
        ("银行卡" + read_out(CARD, PINYIN, " "), "pii:card"),
        ("卡号：" + read_out(CARD, PINYIN), "pii:card"),
        (read_out(CARD, CHARACTERS) + "是我的卡号", "pii:card"),
    ],
)
def test_numbers_with_check_digits_are_found_as_letters_and_as_sounds(text: str, kind: str) -> None:
    """As a telephone number is that is written so."""
    assert kinds(f"好的，{text}。") == {kind}


@pytest.mark.parametrize(
    "text",
    [
        "11O1O5l98806O53217",  # a wrong check digit
        "银行回单号：41l1O1111111111110，金额683元",
        "银行回单号：41I1l11111111111，金额683元",
        "liu er er er ling er yi er san si wu liu qi ba jiu ling yi er ba",  # no word about cards
        "4l11 1111 1111 1111",
        "卡号：4\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1",
        "办卡人数\n4\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1\n1",
        "卡：4111\n1111\n1111\n1111\n2000\n3000",
        "银行 IllOlOOlIlOOlllO1 l0",
        "身高180，1998年生，2020年毕业",
        "价格分别是150元、1500元、2000元",
        "尺寸 180*2000*2200，误差 0.13812345678",
        "M16 2.377 3 2.126 C13.254 19.9058 13.2709 14.7438",
        "12 13 1 5 8 1 3 8 1 2 3 4 5 6 7 8 9 1 1 2",
        "电话费套餐：138、1588、1888元",
        "加微信后选138、1388、1588这三种",
        "联系人：王五，金额：150、1500、2000",
        "call the hotline at 1-888-373-7888",
        "Nature 131 (1963) 2766-2784",
        "转账\n4500\n3000\n2000\n1000",
        "一、二、三、四、五、六、七、八、九、十、十一、十二",
        "第1章第3节第8页，第1章第2节第3页，第4章第5节第6页，第7章第8节",
        "ISBN 978-7-111-54742-6，定价139.00元，2013年8月1日第2版",
        "订单号20240138123456789，运单SF1381234567890，下单2024-01-03 13:45:28",
        "版本1.38.1234，上一版1.38.1230，依赖138.0.1234.5678",
        "售价1380元，原价1588元，满1000减120，限3件",
        "1三2四3五4六5七6八",
        "1个三明治，2个四喜丸子，3个五香蛋，8个八宝粥",
        "气温 31 33 38 31 32 33 34 35 36 37 38",
        "年龄：31, 33, 38, 31, 32, 33, 34, 35, 36, 37, 38",
        "0.3133383132333435",
        "310125 2024-01-01 00:41 任务完成",
        "440117,2024-04-22T07:48:10",
        "任务 310125 2024年01月01日00时41分开始",
        "| 2024-01-01 00:30 | 12.310125 |\n| 2024-01-01 00:41 | 7.5 |",
        "第一位第二位第三位第四位第五位第六位第七位第八位第一位第二位第三位",
        "12,5077\n20,5107\n12,5108\n24,5124",
        "本月来电 150，1500，2000 次",
        "<span>150</span> <span>1024</span> <span>2048</span>",
        "<td>150</td><td>1024</td><td>2048</td>",
        "sha1 1a3b8c1d2e3f4a5b6c7d8",
        "前三名150分，中间1500人，后四位2000元",
        "x<sup>10</sup>和<b>150</b>元<b>2000</b>件",
        "显卡 RTX 4090，单号 4111111111111112",
        "1500000 ÷ 2000 = 750",
        "1500000 - 2000 = 1498000",
        "1500000是2000的750倍",
        "1500000减2000，150加1024加2048",
        "150 and 2000 and 2500, between 1500000 and 2000",
        "138 = 1234 − 1096",
        "价格走势：150→1500→2000，端口 188->8080->8443",
        "float x[150][1024][2048];",
        "M17 13 11 45 20l90 32 5.17l132 193 15",
    ],
)
def test_measures_lists_and_decimals_are_no_numbers_to_dial(text: str) -> None:
    """A guard that stops them would be switched off."""
    assert kinds(text) == set()


@pytest.mark.parametrize(
    "piece",
    [
        "0138 ",
        "中四位1",
        "1 ",
        "1，",
        "1汉",
        "138—",
        "138—1234—",
        "一",
        "one ",
        "1l",
        "4 ",
        "ling",
        "医",
        "lO3 ",
    ],
)
def test_long_rows_of_digits_take_linear_time(piece: str) -> None:
    """Twice the text takes about twice the time, whatever it repeats."""

    def seconds(length: int) -> float:
        text = (piece * length)[:length]
        begun = time.thread_time()
        scanner().scan(text)
        return time.thread_time() - begun

    seconds(1000)
    short, long = (min(seconds(length) for _ in range(3)) for length in (20_000, 80_000))
    assert long < 8 * max(short, 0.02)
