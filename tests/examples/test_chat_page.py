"""examples/chat_page.py in a real headless Chromium: the real server, a scripted model behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.annotate.conftest import chromium
from tests.annotate.test_annotate_browser import CONTRAST, PATIENCE_MS
from tests.contracts.guard_marks import ADVERT, CRASH, SORRY, SORRY_EN, Marked, marked, story
from tests.examples.chatting import Chat, Site

__all__ = ["chromium"]  # the fixture
SCRIPT = Path(__file__).parent.parent.parent / "examples/chat_page.py"
MARKUP = "<img src=x onerror='window.harmed = 1'><script>window.harmed = 1</script><b>粗体</b>"
Begin = Callable[..., Chat]
Open = Callable[..., Page]
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Serve a guard before a model that gives these answers."""
    with ExitStack() as stack:

        def begun(answers: dict[str, Any], guarded: Marked | None = None, **how: Any) -> Chat:
            return stack.enter_context(Site(guarded or marked(), answers, **how))

        yield begun


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Open]:
    """Open the page in a browser of its own; an error of its script fails the test."""
    errors: list[str] = []
    with ExitStack() as stack:

        def opened(chat: Chat, **settings: Any) -> Page:
            context = stack.enter_context(chromium.new_context(**({"locale": "zh-CN"} | settings)))
            page = context.new_page()
            page.set_default_timeout(PATIENCE_MS)
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(chat.url)
            expect(page.locator("#question")).to_be_focused()
            return page

        yield opened
    assert errors == []


def send(page: Page, question: str) -> Locator:
    """Ask by keyboard; gives the answer's place."""
    answers = page.locator("#talk > li:not(.mine)")
    answer = answers.nth(answers.count())
    page.keyboard.insert_text(question)
    page.keyboard.press("Enter")
    return answer


def done(answer: Locator) -> None:
    """The answer has come to its end."""
    expect(answer).to_have_count(1)
    expect(answer).not_to_have_attribute("aria-busy", "true")


def test_a_harmless_answer_appears_while_it_comes(begin: Begin, visit: Open) -> None:
    """What the guard has let go is read before the model has ended."""
    text = story(300)
    chat = begin({"天气": [text[:200], ..., text[200:]]})
    page = visit(chat)
    answer = send(page, "天气")
    expect(answer.locator(".answer")).to_have_text(re.compile(f"^{text[:40]}"))
    expect(answer).to_have_attribute("aria-busy", "true")
    chat.model.go_on()
    done(answer)
    expect(answer.locator(".answer")).to_have_text(text)
    expect(answer.locator(".notice, .problem")).to_have_count(0)
    expect(page.locator("#question")).to_be_focused()


def test_a_harmful_answer_is_the_policys_message(begin: Begin, visit: Open) -> None:
    """The user reads why there is no answer, and the number under which it is recorded."""
    chat = begin({"写广告": story(30) + ADVERT + story(30)})
    page = visit(chat)
    answer = send(page, "写广告")
    done(answer)
    expect(answer.locator(".notice b")).to_have_text("回答已被拦下")
    expect(answer.locator(".message")).to_have_text(SORRY)
    expect(answer.locator(".answer")).to_be_empty()
    [event] = chat.events.of("output")
    expect(answer.locator(".number")).to_have_text(f"请求编号 {event.request_id}")
    assert ADVERT not in page.content()


def test_what_passed_before_the_stop_stays_apart_from_the_message(
    begin: Begin, visit: Open
) -> None:
    """The answer that was cut is not mistaken for a whole one."""
    start = story(400)
    chat = begin({"问": [start, ..., ADVERT + story(100)]})
    page = visit(chat)
    answer = send(page, "问")
    expect(answer.locator(".answer")).not_to_be_empty()
    chat.model.go_on()
    done(answer)
    expect(answer.locator(".message")).to_have_text(SORRY)
    shown = answer.locator(".answer").inner_text()
    assert len(shown) > 100
    assert start.startswith(shown)


def test_what_is_retracted_is_taken_off_the_page(begin: Begin, visit: Open) -> None:
    """In `retract` mode text is shown ahead of its check, and withdrawn when that finds it bad."""
    ahead = {"mode": "retract", "window": 40, "overlap": 10, "exposure": 400}
    chat = begin({"问": [story(30), ..., ADVERT + story(40)]}, marked(stream=ahead))
    page = visit(chat)
    answer = send(page, "问")
    expect(answer.locator(".answer")).to_have_text(story(30))
    chat.model.go_on()
    done(answer)
    expect(answer.locator(".answer")).to_be_empty()
    expect(answer.locator(".notice b")).to_have_text("已显示的内容已撤回")
    expect(answer.locator(".message")).to_have_text(SORRY)
    assert ADVERT not in page.content()


def test_a_stopped_question_does_not_spoil_the_next_one(begin: Begin, visit: Open) -> None:
    """The guard reads earlier turns as well: what it has stopped is not sent again."""
    chat = begin({"你好": "你好！", "再见": "再见！"})
    page = visit(chat)
    done(send(page, "你好"))
    answer = send(page, f"帮我写{ADVERT}")
    done(answer)
    expect(answer.locator(".notice b")).to_have_text("问题已被拦下")
    expect(answer.locator(".message")).to_have_text(SORRY)
    answer = send(page, "再见")
    done(answer)
    expect(answer.locator(".answer")).to_have_text("再见！")
    said = [(turn["role"], turn["content"]) for turn in chat.model.asked[-1]["messages"]]
    assert said == [("user", "你好"), ("assistant", "你好！"), ("user", "再见")]


@pytest.mark.parametrize("mode", ["window", "retract"])
def test_a_guard_that_fails_is_an_error_and_nothing_is_shown(
    begin: Begin, visit: Open, mode: str
) -> None:
    """What could not be checked is not left on the page, and the question can be asked again."""
    stream = {"mode": mode, "window": 40, "overlap": 10, "exposure": 400}
    chat = begin({"问": [story(100), ..., CRASH + story(60)]}, marked(stream=stream))
    page = visit(chat)
    answer = send(page, "问")
    expect(answer.locator(".answer")).not_to_be_empty()
    chat.model.go_on()
    done(answer)
    expect(answer.get_by_role("alert")).to_contain_text("安全检查没有完成")
    expect(answer.locator(".answer")).to_be_empty()
    expect(page.locator("#question")).to_have_value("问")


def test_a_question_that_cannot_be_checked_is_an_error(begin: Begin, visit: Open) -> None:
    """So says the page where the guard answers with 503."""
    page = visit(begin({}), locale="en-GB")
    answer = send(page, f"问{CRASH}")
    done(answer)
    expect(answer.get_by_role("alert")).to_contain_text("The safety check could not be done")


@pytest.mark.parametrize(
    ("said", "before", "told"),
    [
        ([story(200), None], "guard", "回答中途断开了"),
        ([story(200), None], "model", "回答中途断开了"),
        (500, "guard", "出错了：the upstream answered with status 500"),
        (429, "guard", "请求太多"),
        (401, "guard", "不接受这个密钥"),
    ],
)
def test_a_model_that_fails_is_an_error(
    begin: Begin, visit: Open, said: Any, before: str, told: str
) -> None:
    """An answer that broke off is not taken for a whole one, wherever it did."""
    page = visit(begin({"问": said}, before=before))
    answer = send(page, "问")
    done(answer)
    expect(answer.get_by_role("alert")).to_contain_text(told)


def test_a_guard_that_is_away_is_named(begin: Begin, visit: Open) -> None:
    """Who forgot to start it reads so."""
    page = visit(begin({}, before="nothing"))
    answer = send(page, "问")
    done(answer)
    expect(answer.get_by_role("alert")).to_contain_text("连不上服务")
    expect(page.locator("#question")).to_have_value("问")


def test_markup_is_shown_as_text(begin: Begin, visit: Open) -> None:
    """Nothing that a person, a model or a policy writes becomes a part of the page."""
    plan = marked(messages={"zh": MARKUP, "en": MARKUP})
    thinking = {"reasoning_content": MARKUP}
    chat = begin({MARKUP: [thinking, MARKUP], "坏": ADVERT}, plan)
    page = visit(chat)
    answer = send(page, MARKUP)
    done(answer)
    expect(answer.locator(".answer")).to_have_text(MARKUP)
    expect(page.locator(".mine .answer")).to_have_text(MARKUP)
    answer.locator("summary").click()
    expect(answer.locator("details .text")).to_have_text(MARKUP)
    page.locator("#question").focus()
    stopped = send(page, "坏")
    done(stopped)
    expect(stopped.locator(".message")).to_have_text(MARKUP)
    assert page.evaluate("window.harmed") is None
    assert page.locator("#talk").locator("img, script, .text b, .message b").count() == 0


def test_the_browser_would_run_no_other_script(begin: Begin, visit: Open) -> None:
    """Were text taken for markup after all, the page's policy would still refuse it."""
    page = visit(begin({}))
    html = "() => { try { document.body.innerHTML = '<b>x</b>'; } catch (e) { return e.name; } }"
    assert page.evaluate(html) == "TypeError"
    policy = httpx.get(page.url).headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy


def test_by_keyboard_alone(begin: Begin, visit: Open) -> None:
    """Enter sends, Shift+Enter breaks the line, an input method's Enter does nothing, Esc stops."""
    chat = begin({"一\n二": [story(200), ...]})
    page = visit(chat)
    keys = page.keyboard
    keys.insert_text("一")
    keys.press("Shift+Enter")
    keys.insert_text("二")
    composing = "new KeyboardEvent('keydown', {key: 'Enter', isComposing: true, bubbles: true})"
    page.evaluate(f"document.activeElement.dispatchEvent({composing})")
    expect(page.locator("#talk > li")).to_have_count(0)
    keys.press("Enter")
    answer = page.locator("#talk > li").nth(1)
    expect(answer.locator(".answer")).not_to_be_empty()
    keys.press("Escape")
    done(answer)
    expect(answer.locator(".problem")).to_contain_text("你停止了这个回答")
    assert chat.model.left.wait(30)
    keys.press("Shift+Tab")
    expect(page.locator("#language")).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineWidth") == "3px"


def test_a_new_chat_forgets_the_old_one(begin: Begin, visit: Open) -> None:
    """Also the answer that is still coming."""
    chat = begin({"问": [story(200), ...], "你好": "你好！"})
    page = visit(chat)
    expect(send(page, "问").locator(".answer")).not_to_be_empty()
    page.locator("#fresh").click()
    expect(page.locator("#talk > li")).to_have_count(0)
    assert chat.model.left.wait(30)
    expect(page.locator("#question")).to_have_value("")
    answer = send(page, "你好")
    done(answer)
    assert [turn["content"] for turn in chat.model.asked[-1]["messages"]] == ["你好"]


def test_it_speaks_chinese_and_english(begin: Begin, visit: Open) -> None:
    """The browser's language decides, a button switches, and both say the same things."""
    page = visit(begin({"write an advert": ADVERT}), locale="en-GB")
    answer = send(page, "write an advert")
    done(answer)
    expect(answer.locator(".notice b")).to_have_text("The answer was stopped")
    expect(answer.locator(".message")).to_have_text(SORRY_EN)
    page.locator("#language").click()
    expect(answer.locator(".notice b")).to_have_text("回答已被拦下")
    assert page.locator("html").get_attribute("lang") == "zh"
    words = page.evaluate("WORDS")
    assert set(words["zh"]) == set(words["en"])


def test_it_fits_a_phone(begin: Begin, visit: Open) -> None:
    """375 px wide: nothing sticks out, and what is tapped is large enough to hit."""
    small = {"width": 375, "height": 667}
    page = visit(begin({"问": "长" * 300 + "x" * 300}), viewport=small, has_touch=True)
    page.keyboard.insert_text("问")
    page.locator("#send").tap()
    answer = page.locator("#talk > li").nth(1)
    done(answer)
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    for button in page.locator("button:visible").all():
        box = button.bounding_box()
        assert box is not None
        assert box["height"] >= 44
        assert box["x"] + box["width"] <= 375
    expect(page.locator("#form")).to_be_in_viewport()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(begin: Begin, visit: Open, scheme: str) -> None:
    """Contrast of 4.5 to 1 or more (WCAG 2.2, 1.4.3), in light and dark."""
    chat = begin(
        {"你好": [{"reasoning_content": "想"}, "好"], "坏": ADVERT, "断": [story(99), None]}
    )
    page = visit(chat, color_scheme=scheme)
    for question in chat.model.answers:
        done(send(page, question))
    contrasts = page.evaluate(CONTRAST)
    assert len(contrasts) > 10
    assert {place: ratio for place, ratio in contrasts.items() if ratio < 4.5} == {}


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"host": "evil.example"}, '{"messages": []}', 400),
        ({"content-type": "text/plain"}, '{"messages": []}', 400),
        ({}, "no JSON", 400),
        ({}, '{"messages": 1}', 400),
        ({}, " " * (2**20 + 1), 400),
    ],
)
def test_another_sites_requests_are_refused(
    begin: Begin, headers: dict[str, str], body: str, status: int
) -> None:
    """A page elsewhere can't ask through this one, by a rebound name or a form."""
    chat = begin({})
    given = {"content-type": "application/json"} | headers
    answer = httpx.post(f"{chat.url}chat", content=body, headers=given)
    assert answer.status_code == status
    assert chat.model.asked == []


def run(*argv: str) -> subprocess.Popen[str]:
    """Start a command whose first line says where it listens."""
    env = {**os.environ, "PYTHONPATH": str(SCRIPT.parent.parent)}
    return subprocess.Popen(
        [sys.executable, *argv],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env=env,
    )  # fmt: skip


def test_one_command_serves_it() -> None:
    """As the README says, on loopback."""
    with run(str(SCRIPT), "--model", "m", "--port", "0") as process:
        assert process.stdout is not None
        try:
            found = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
            assert found is not None
            assert "<title>" in httpx.get(found[0]).text
        finally:
            process.terminate()


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--api-key-env", "FLAMES_NO_SUCH_KEY"], "FLAMES_NO_SUCH_KEY holds no key"),
        (["--base-url", "127.0.0.1:8000"], "--base-url is a URL"),
        (["--port", "99999"], "port 99999 can't be used"),
    ],
)
def test_what_cannot_work_is_said_in_a_line(flags: list[str], told: str) -> None:
    """A mistake is no traceback."""
    with run(str(SCRIPT), "--model", "m", *flags) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert told in err
    assert "Traceback" not in err
