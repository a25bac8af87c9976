from __future__ import annotations

import json
import time

import pytest

from guard.evidence import Scanner
from guard.views import View
from tests.guard.views.seen import views

GAMBLING = "加微信领彩金，首存送88"
STORY = "周末我们常去河边散步，孩子们放风筝，老人下棋。"
FRAUD = "兼职刷单，日赚500，加微信，无需押金"


def spelled(text: str) -> list[str]:
    """The views without what may stand between words."""
    return ["".join(c for c in view.text if c not in " \n") for view in views(text)]


def in_columns(text: str, height: int, between: str = "") -> str:
    columns = [text[at : at + height].ljust(height, "　") for at in range(0, len(text), height)]
    return "\n".join(between.join(row) for row in zip(*columns[::-1], strict=True))


@pytest.mark.parametrize(
    "parted",
    [
        "|" + "|".join(FRAUD) + "|",
        " | ".join(FRAUD),
        "".join(f"({char})" for char in FRAUD),
        "".join(f"【{char}】" for char in FRAUD),
        "".join(f"“{char}”" for char in FRAUD),
        "".join(f"<b>{char}</b>" for char in FRAUD),
        "".join(f"<span style='x'>{char}</span> " for char in FRAUD),
        "<br>".join(FRAUD),
        "<!--x-->".join(FRAUD),
        "ㅋ".join(FRAUD),
        "の".join(FRAUD),
        "a".join(FRAUD),
        "".join([f"{char}{'qwertyuio'[at % 9]}" for at, char in enumerate(FRAUD)]),
        "".join([f"{char}{'가나다라마바사'[at % 7]}" for at, char in enumerate(FRAUD)]),
        "口".join(FRAUD),
        "".join(f"{char}(a)" for char in FRAUD),
        "\\text{" + "}\\text{".join(FRAUD) + "}",
        "".join(f"'{char}'+" for char in FRAUD),
        "[" + ",".join(f'"{char}"' for char in FRAUD) + "]",
        "\n".join(f"{number}. {char}" for number, char in enumerate(FRAUD, 1)),
        "\n".join(f"{number}、{char}" for number, char in enumerate(FRAUD, 1)),
        "\n".join(f"- {char}" for char in FRAUD),
        in_columns(FRAUD, 5),
        in_columns(FRAUD, 7, "　"),
    ],
)
def test_what_stands_between_the_characters_is_seen_through(parted: str) -> None:
    """Tables, brackets, tags, one letter again and again, lists, code, columns."""
    assert any("兼职刷单" in text and "加微信" in text for text in spelled(parted))
    assert {found.kind for found in Scanner.shipped().scan(parted)} >= {"fraud"}


WITHOUT_MARKS = "兼职刷单一天赚五百加微信领任务无需押金"


@pytest.mark.parametrize(
    "noisy",
    [
        "".join([f"{char}{'~、!|#/+，'[at % 8]}" for at, char in enumerate(WITHOUT_MARKS)]),
        "".join(
            [f"{char}{'~、!|'[at % 4]}{'.*-'[at % 3]}" for at, char in enumerate(WITHOUT_MARKS)]
        ),
        "".join(
            [
                f"{char}{'foo bar cat dog'[at % 4 * 4 :][:3]}"
                for at, char in enumerate(WITHOUT_MARKS)
            ]
        ),
        "".join([f"{char}[^{at}]" for at, char in enumerate(WITHOUT_MARKS)]),
        "".join([f"[{char}](http://a.cn/{at})" for at, char in enumerate(WITHOUT_MARKS)]),
        json.dumps({str(at): char for at, char in enumerate(WITHOUT_MARKS)}, ensure_ascii=False),
    ],
)
def test_something_else_between_each_two_characters_is_seen_through(noisy: str) -> None:
    """Any mark or word, footnotes, links, keys of JSON."""
    for text in (noisy, f"{STORY}{noisy}。{STORY}"):
        assert any("兼职刷单" in view and "加微信" in view for view in spelled(text))
    assert {found.kind for found in Scanner.shipped().scan(noisy)} >= {"fraud"}


@pytest.mark.parametrize(
    "disguised",
    [
        "".join(f"{char}{at % 10}" for at, char in enumerate("澳门新葡京线上赌场注册送彩金")),
        "\u200b·".join("領彩金，首存送88加微信"),
        "领|彩|金|，|首|存|送|8|8|，|加|微|信",
        in_columns("澳门新葡京线上赌场注册送彩金", 7),
    ],
)
def test_gambling_is_found_there_too(disguised: str) -> None:
    """Numbers between, traditional characters with hidden ones and dots, digits of a table."""
    assert "gambling" in {found.kind for found in Scanner.shipped().scan(disguised)}


@pytest.mark.parametrize(
    "text",
    [
        "| 城市 | 人口(万) | GDP(亿) |\n|---|---|---|\n| 上海 | 2487 | 47218 |",
        "<p>您好</p><br><b>欢迎</b>使用<i>本系统</i>，<a href='x'>点这里</a>",
        "1. 打开设置\n2. 选择网络\n3. 点击连接\n4. 输入密码\n5. 确定",
        "此致\n敬礼\n[您的名字]\n[日期]",
        "2024年11月2日13时45分22秒，第3章第5节",
        "你说我说他说，大家都在说：是的是的。",
        "白日依山尽，\n黄河入海流。\n欲穷千里目，\n更上一层楼。",
        'names = ["张三", "李四", "王五"]',
        "a1b2c3d4e5，x=1，y=2，z=3",
        "“华”和“夷”分得很清楚（见上文）。",
        "在 Vue 里用 ref 和 reactive，用 v-if 或 v-show。男 35，女 40，男 28。",
        "高高兴兴、干干净净、清清楚楚地走了，天天向上。",
    ],
)
def test_ordinary_layouts_are_left_alone(text: str) -> None:
    """Tables of words, pages, lists of steps, letters, dates, poems, code."""
    assert not Scanner.shipped().scan(text)
    assert len(views(text)) == 1 or "”" in text


def test_a_number_between_parted_characters_is_whole() -> None:
    """3|0|0 is 300; Latin words and longer numbers stay apart."""
    (found,) = [v for v in views("|刷|单|日|赚|3|0|0|元|") if v.name == "separators"]
    assert found.text == "刷单日赚300元"
    (found,) = [v for v in views("刷 单 日 赚 12 34 for you") if v.name == "separators"]
    assert found.text == "刷单日赚12 34 for you"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("前<b>赌</b>博<b>网</b>站", "赌博网站"),
        ("前赌x博x网x站x注x册x", "赌博网站注册"),
        ("前\n赌站\n博注\n网册\n啊吗", "赌博网"),
        ("前ㄉㄨˇ ㄅㄛˊ ㄨㄤˇ。", None),
    ],
)
def test_a_match_leads_back_to_where_it_stood(text: str, said: str | None) -> None:
    """Offsets are those of the text as it was given."""
    for view in views(text)[1:]:
        assert view.placed
        for at in range(len(view.text)):
            start, end = view.span(at, at + 1)
            assert start is not None
            assert end is not None
            assert said is None or text[start:end] == view.text[at]


def test_columns_are_read_from_both_sides() -> None:
    """Left to right as of late, right to left as of old."""
    found = [view for view in views("一五\n二六\n三七\n四八") if view.name == "columns"]
    assert [view.text for view in found] == ["一二三四五六七八", "五六七八一二三四"]
    assert all(isinstance(view, View) for view in found)


@pytest.mark.parametrize("tags", ["<b>", "<b> ", "<!-- -->", "</a><br>"])
def test_a_long_row_of_tags_takes_no_longer_than_a_long_text(tags: str) -> None:
    """A megabyte of them would hold a worker for an hour, if each were tried anew."""
    text = tags * (100_000 // len(tags))
    begun = time.thread_time()
    assert views(text)
    assert time.thread_time() - begun < 5


@pytest.mark.parametrize(("text", "size"), [(GAMBLING, 2), ("澳门新葡京线上赌场注册送彩金", 3)])
def test_words_are_read_without_the_emoji_inside(text: str, size: int) -> None:
    """A few characters, another emoji, a few: as advertisements are posted, long texts or short."""
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    parted = "".join(
        [f"{piece}{emoji}" for piece, emoji in zip(pieces, "😀🔥💰🎉👍💯", strict=False)]
    )
    assert {found.kind for found in Scanner.shipped().scan(parted)} == {"gambling"}
    within = f"{STORY * 8}{parted}。{STORY * 8}"
    assert {found.kind for found in Scanner.shipped().scan(within)} == {"gambling"}
    assert len(views("今天真开心😀去公园玩了一整天，看到了很多花🌹还有小鸟🐦。")) == 1
