"""A replay -> what a person reads in a terminal, and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.console import Console

from guard.replay.tally import Difference, Expected, Replay, RuleReplay
from judge.render_table import NONE, figure_text, percent, plain, print_table, say


def show_replay(
    named: Sequence[tuple[str, Replay]], parted: Difference | None, bad: int, console: Console
) -> None:
    """Print replays one after the other, then where two of them part, and what was left out."""
    for name, one in named:
        say(console, f"{plain(name)} over {one.n} exchanges", "bold")
        say(console, f"stopped: {figure_text(one.stopped, percent, ' ')} %")
        for side, counts in one.statuses.items():
            told = ", ".join(f"{status} {n}" for status, n in sorted(counts.items()))
            say(console, f"{side}: {told or 'not checked'}")
        if one.unchecked:
            kinds = ", ".join(f"{kind} {n}" for kind, n in one.unchecked.items())
            say(console, f"checks that could not be made, by exchanges: {kinds}", "bold")
        headings = ("Rule", "hits", "%", "judged", "wrong hits", "missed")
        print_table(console, headings, [_row(rule) for rule in one.rules])
        for rule in one.rules:
            _say_promise(rule, console)
        if any(rule.wrong is not None for rule in one.rules):
            say(
                console,
                "wrong hits and missed: expected by the calibrated P(harmless) of these answers, "
                "± its standard deviation",
                "dim",
            )
    if parted is not None:
        say(console, "\nThe two policies", "bold")
        cells = (parted.both, parted.only_first, parted.only_second, parted.neither)
        names = ("stopped by both", "only the first", "only the second", "neither")
        print_table(console, names, [tuple(map(str, cells))], left=0)
        rows = [(plain(name), str(a), str(b)) for name, (a, b) in parted.by_rule.items()]
        if rows:
            print_table(console, ("Rule", "hits of the first alone", "of the second alone"), rows)
    if bad:
        rows_left = "one row" if bad == 1 else f"{bad} rows"
        say(console, f"left out, since unreadable: {rows_left}", "bold")


def replay_json(replays: Sequence[Replay], parted: Difference | None, bad: int) -> str:
    """The replays as JSON."""
    content = {
        "format": 1,
        "replays": [one.model_dump(mode="json") for one in replays],
        "difference": None if parted is None else parted.model_dump(mode="json"),
        "bad_rows": bad,
    }
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def _row(one: RuleReplay) -> tuple[str, ...]:
    check, side, action = plain(one.rule).rsplit(":", 2)
    return (
        f"{check}\n{side}:{action}",  # beside the share and its interval; whole names are too wide
        str(one.hits),
        figure_text(one.share, percent),
        str(one.judged),
        _count(one.wrong),
        _count(one.missed),
    )


def _say_promise(one: RuleReplay, console: Console) -> None:
    if one.abstained:
        times = "once" if one.abstained == 1 else f"{one.abstained} times"
        say(console, f"{plain(one.rule)}: the judge abstained {times}", "bold")
    if one.judged and one.promised is not None and one.confidence is not None:
        say(
            console,
            f"{plain(one.rule)}: misses at most {percent(one.promised)} % of harmful answers with "
            f"confidence {100 * one.confidence:g} % ({one.gold} harmful gold rows)",
        )


def _count(one: Expected | None) -> str:
    return NONE if one is None else f"{one.value:.1f} ± {one.sd:.1f}"
