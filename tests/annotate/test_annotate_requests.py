"""Who may ask the annotators' page for what, and what goes back: over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from judge.annotate.serve import links
from judge.annotate.store import Store
from judge.errors import InputError
from judge.gold import rows_of
from judge.gold.files import parse_gold
from judge.listening import Hosts, hosts_for, listen
from tests.annotate.conftest import Serve, Site
from tests.cases import rubrics


class Browser(httpx.Client):
    """Asks as the page does: relative to its link, with the token's header."""

    def __init__(self, link: str) -> None:
        super().__init__(base_url=link, headers={"x-flames-token": link.split("/")[-2]})

    def rows(self) -> list[int]:
        """The rows' numbers in their order."""
        return [row["id"] for row in self.get("api/queue").json()["items"]]

    def mark(self, row: int, **mark: Any) -> httpx.Response:
        """Mark a row."""
        return self.post(f"api/items/{row}/marks", json=mark)


@pytest.fixture
def site(serve: Serve) -> Site:
    """Three rows and two annotators."""
    return serve("李", "wang")


@pytest.fixture
def li(site: Site) -> Iterator[Browser]:
    """Li's browser."""
    with Browser(site.links["李"]) as browser:
        yield browser


def test_the_page_loads_only_its_own_files_and_is_never_kept(li: Browser) -> None:
    """Nothing from elsewhere may run or load, and no cache may hold a text."""
    for path in ("", "page.css", "page.js", "words.js", "api/queue", "nothing"):
        answer = li.get(path)
        assert answer.status_code == (404 if path == "nothing" else 200)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
    page = li.get("").text
    assert "http://www.w3.org/2000/svg" in page
    assert page.count("http") == 1


@pytest.mark.parametrize("token", ["", "wrong", "secret-", "secret-00", "%ff%00"])
def test_nothing_is_served_without_a_right_token(site: Site, token: str) -> None:
    """Other users of the machine and pages elsewhere don't know the link."""
    link = site.links["李"]
    start = link[: link.index("/t/")]
    for path in ("", "page.js", "api/queue", "gold.jsonl"):
        assert httpx.get(f"{start}/t/{token}/{path}").status_code == 403
        assert httpx.get(f"{start}/{path}").status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "", "[", "10.0.0.1"])
def test_a_rebound_host_name_is_refused(site: Site, host: str) -> None:
    """A name of somebody else's that points to loopback is not ours."""
    assert httpx.get(site.links["李"], headers={"host": host}).status_code == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"x-flames-token": ""}, 403),
        ({"x-flames-token": "secret-1"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
    ],
)
def test_a_mark_forged_by_another_site_is_refused(
    site: Site, li: Browser, headers: dict[str, str], status: int
) -> None:
    """A form on a page elsewhere can send neither our header nor JSON."""
    body = b'{"kind": "label", "label": 3}'
    sent = {"content-type": "application/json"} | headers
    path = f"api/items/{li.rows()[0]}/marks"
    assert li.post(path, content=body, headers=sent).status_code == status
    assert site.work.store.events() == []


def test_the_page_tells_nothing_of_judge_model_or_draw(li: Browser) -> None:
    """What an annotator can't see can't sway them."""
    for row in li.rows():
        seen = li.get(f"api/items/{row}").json()
        fields = {"dimension", "subcomponent", "prompt", "response", "history", "mine", "others"}
        assert set(seen) == fields
    queue = li.get("api/queue").json()
    assert set(queue["items"][0]) == {"id", "dimension", "state", "label"}


@pytest.mark.parametrize(
    "mark",
    [
        {"kind": "label", "label": 4},
        {"kind": "label", "label": "x"},
        {"kind": "label", "label": None},
        {"kind": "skip", "reason": "  "},
        {"kind": "skip", "reason": "a\0b"},
        {"kind": "note", "text": "x" * 4001},
        {"kind": "quotes", "quotes": [{"side": "response", "start": 0, "end": 10**6}]},
        {"kind": "quotes", "quotes": [{"side": "response", "start": 2, "end": 2}]},
        {"kind": "quotes", "quotes": [{"side": "judge", "start": 0, "end": 1}]},
        {"kind": "undo", "undoes": 1},
        {"kind": "label", "label": 3, "annotator": "wang"},
        {},
    ],
)
def test_a_mark_that_makes_no_sense_is_refused(
    site: Site, li: Browser, mark: dict[str, Any]
) -> None:
    """Nothing is saved that could not be exported, and nobody marks as somebody else."""
    assert li.mark(li.rows()[0], **mark).status_code == 422
    assert site.work.store.events() == []


def test_only_labels_on_the_scale_of_the_dimension_are_taken(li: Browser) -> None:
    """Legality has no 2."""
    *_, law = li.rows()
    assert li.mark(law, kind="label", label=2).status_code == 422
    assert li.mark(law, kind="label", label=1).json()["mine"]["label"] == 1


def test_unknown_rows_and_huge_bodies_are_refused(li: Browser) -> None:
    """A page gone wrong harms nothing."""
    assert li.mark(999, kind="note", text="").status_code == 404
    assert li.mark(li.rows()[0], kind="note", text="x" * 2**17).status_code == 413
    headers = {"content-type": "application/json"}
    assert li.post("api/undo", content=b"{", headers=headers).status_code == 422


def test_a_stale_page_undoes_nothing(li: Browser) -> None:
    """A second window of the same annotator has marked since."""
    row = li.rows()[0]
    old = li.mark(row, kind="label", label=1).json()["last"]["event"]
    new = li.mark(row, kind="label", label=3).json()["last"]["event"]
    assert li.post("api/undo", json={"event": old}).status_code == 409
    undone = li.post("api/undo", json={"event": new}).json()
    assert undone == {"last": {"event": old, "item": row}}


def test_a_mark_that_the_database_refuses_is_not_called_saved(
    li: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is said, and the page stays where it is."""

    def full(*_: object) -> None:
        raise OperationalError("INSERT", {}, Exception("disk full"))

    row = li.rows()[0]
    monkeypatch.setattr(Store, "add", full)
    answer = li.mark(row, kind="label", label=3)
    assert (answer.status_code, set(answer.json())) == (503, {"error"})


def test_an_annotator_downloads_only_own_marks(site: Site, li: Browser) -> None:
    """The export must not become the way to see others' labels."""
    with Browser(site.links["wang"]) as wang:
        row = li.rows()[0]
        wang.mark(row, kind="label", label=1)
        assert li.get("gold.jsonl").text == ""
        assert json.loads(wang.get("gold.jsonl").text)["annotator"] == "wang"


def test_an_adjudicator_decides_what_annotators_differ_on(serve: Serve, site: Site) -> None:
    """The queue holds those rows alone; the decision is told from the marks in the gold."""
    with Browser(site.links["李"]) as li, Browser(site.links["wang"]) as wang:
        first, second, _ = li.rows()
        for row, label in ((first, 3), (second, 3)):
            li.mark(row, kind="label", label=label)
        li.mark(first, kind="quotes", quotes=[{"side": "response", "start": 5, "end": 8}])
        wang.mark(first, kind="label", label=2)
        wang.mark(first, kind="label", label=1)
        wang.mark(second, kind="label", label=3)
        wang.mark(second, kind="skip", reason="拿不准")
    with Browser(serve("chen", role="adjudicator").links["chen"]) as chen:
        assert chen.rows() == [first]
        others = chen.get(f"api/items/{first}").json()["others"]
        assert [voice["label"] for voice in others] == [1, 3]
        chen.mark(first, kind="label", label=1)
        gold = chen.get("gold.jsonl").text
    lines = [json.loads(line) for line in gold.splitlines()]
    told = [(row["record_id"], row["annotator"], row["label"]) for row in lines]
    assert told == [
        ("hostile", "adjudicator:chen", 1),
        ("hostile", "wang", 1),
        ("hostile", "李", 3),
        ("bias", "wang", None),
        ("bias", "李", 3),
    ]
    assert (lines[1]["first_label"], lines[3]["note"]) == (2, "skipped: 拿不准")
    assert lines[2]["quotes"][0]["quote"] == "指令\u202e"
    assert (lines[0]["inclusion"], lines[0]["design"]["stratum"]) == (1.0, "Fairness/1")
    checked = parse_gold(enumerate(lines, 1), "gold.jsonl", rubrics())
    assert checked.problems == ()
    assert [row.consensus for row in rows_of(checked.labels)] == [(1, "adjudicated"), (3, "single")]


def test_a_page_on_the_network_goes_by_its_addresses_and_own_name_only() -> None:
    """An address can't be rebound; a name can, but for those that are known to be ours."""
    assert hosts_for("127.0.0.1") == Hosts()
    hosts = hosts_for("0.0.0.0")
    assert hosts.allow("192.168.1.7:8000")
    assert hosts.allow("[fe80::1]:8000")
    assert not hosts.allow("evil.example:8000")
    assert hosts_for("box.local").allow("BOX.local:80")


def test_ipv6_links_are_whole() -> None:
    """An address with colons is written in brackets."""
    with listen("::1", 0) as listening:
        (link,) = links(["x"], "::1", listening)
        assert link == f"http://[::1]:{listening.getsockname()[1]}/t/x/"


def test_a_port_in_use_is_one_line() -> None:
    """Two servers on one port can't be."""
    with listen("127.0.0.1", 0) as taken, pytest.raises(InputError, match="can't listen"):
        listen("127.0.0.1", taken.getsockname()[1])
