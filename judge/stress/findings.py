"""A report in plain sentences: what moved the judge's labels, and what it got wrong. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from judge.stats.estimate import Estimate, Figure
from judge.stats.flips import least_visible
from judge.stress.model import Against, ChangeReport, Kin, StressReport

MOST_NAMES = 8


def findings(report: StressReport) -> Iterator[str]:
    """The sentences, the gravest first."""
    yield from _canaries(report)
    tested = [(change, change.against) for change in report.changes if change.against is not None]
    yield from _followed([(c, a) for c, a in tested if c.family == "attack"], report.confidence)
    yield from _punished(report)
    yield from _moved([(c, a) for c, a in tested if c.family == "invariance"], report.confidence)
    yield from _noise(report)
    if tested:
        least = least_visible(len(tested), 1 - report.confidence)
        yield (
            f"Tested against the judge's own noise: {counted(len(tested), 'change')} (McNemar,"
            f" exact, one-sided; Holm at {1 - report.confidence:.4g}). One that moves fewer than"
            f" {least} rows more than the repeat does can't be told from noise here."
        )
    yield from _unjudged(report)
    yield from map(kinship_line, report.same_family)
    if not report.finished:
        yield "The budget ended the test early: rows that were not reached are counted as open."


def kinship_line(kin: Kin) -> str:
    """Why a judge and a judged model of one family are worth a word."""
    return (
        f"The judge {kin.judge} and the judged model {kin.model} are of one family ({kin.family}):"
        " models tend to be kinder to their own, which no change here can show."
    )


def counted(n: int, what: str) -> str:
    """A number with its noun."""
    return f"{n:,} {what}" + ("" if n == 1 else "s")


def _canaries(report: StressReport) -> Iterator[str]:
    found = report.canaries
    if found is None:
        return
    count = found.all
    if found.wrong:
        names = ", ".join(found.wrong[:MOST_NAMES])
        more = len(found.wrong) - MOST_NAMES
        yield (
            f"The judge gets {count.wrong} of {count.n} canaries wrong, rows whose answer is plain:"
            f" {names}{f' and {more} more' if more > 0 else ''} ({count.unjudged} without a"
            " verdict). Don't rely on its labels before you know why."
        )
    else:
        yield (
            f"Canaries, rows whose answer is plain: {count.right} of {count.n} right, none wrong,"
            f" {count.unjudged} without a verdict."
        )


def _followed(attacks: Sequence[tuple[ChangeReport, Against]], confidence: float) -> Iterator[str]:
    for change, against in attacks:
        found = change.followed
        if against.exceeds and found is not None:
            yield (
                f"The judge follows the attack {change.name} ({change.about}): {found.turned} of"
                f" {found.exposed} rows that it had called not harmless became harmless"
                f" ({_share(found.rate)}; by judging the same text again:"
                f" {_share(found.repeat_rate)})."
            )
    hinted = [
        f"{change.name} {change.followed.turned} of {change.followed.exposed}"
        for change, against in attacks
        if change.followed and change.followed.turned and not against.exceeds
    ]
    if hinted:
        yield (
            "Turned harmless under an attack, yet not beyond the judge's own noise at"
            f" {100 * confidence:.4g}%: {', '.join(hinted)}."
        )
    if attacks and not hinted and not any(against.exceeds for _, against in attacks):
        exposed = max(c.followed.exposed for c, _ in attacks if c.followed)
        yield f"No attack turned any row harmless (of up to {exposed} called not harmless)."


def _punished(report: StressReport) -> Iterator[str]:
    """An attack alone makes no answer harmful: the rest of it is what counts."""
    repeat = sum(c.all.toward_harmful for c in report.changes if c.family == "repeat")
    hit = [
        f"{change.name} {change.all.toward_harmful} of {change.all.compared}"
        for change in report.changes
        if change.family == "attack" and change.all.toward_harmful > repeat
    ]
    if hit:
        yield (
            "Labels that went toward harmful because someone spoke to the judge (by judging the"
            f" same text again: {repeat}): {', '.join(hit)}."
        )


def _moved(changes: Sequence[tuple[ChangeReport, Against]], confidence: float) -> Iterator[str]:
    named = [
        f"{change.name} ({change.all.flips} of {change.all.compared}, {_p(against)})"
        for change, against in changes
        if against.exceeds
    ]
    if named:
        yield (
            "Labels that should have stayed moved more often than by judging the same text again:"
            f" {', '.join(named)}."
        )
    elif changes:
        yield (
            "No change that should leave labels alone moved them beyond the judge's own noise at"
            f" {100 * confidence:.4g}%."
        )


def _noise(report: StressReport) -> Iterator[str]:
    repeat = next((c.all for c in report.changes if c.family == "repeat"), None)
    if repeat is None or not repeat.compared:
        yield "Nothing can be said: no row was judged twice."
        return
    yield (
        f"The judge's own noise: {repeat.flips} of {repeat.compared} rows changed their label when"
        f" the same text was judged again ({_share(repeat.flip_rate)})."
    )


def _unjudged(report: StressReport) -> Iterator[str]:
    base = report.changes[0].all if report.changes else None
    if base is not None and base.base_unjudged:
        yield (
            f"{base.base_unjudged} of {base.rows} rows got no verdict in the base: nothing is said"
            " about them."
        )
    lost = [
        f"{change.name} {sum(change.all.unjudged.values())}"
        for change in report.changes
        if change.all.unjudged
    ]
    if lost:
        yield f"Judged in the base and not under the change: {', '.join(lost)}."


def _share(figure: Figure) -> str:
    if not isinstance(figure, Estimate):
        return "-"
    return f"{100 * figure.value:.1f}% [{100 * figure.low:.1f}, {100 * figure.high:.1f}]"


def _p(against: Against) -> str:
    return "p < .001" if against.p_adjusted < 0.001 else f"p = {against.p_adjusted:.3f}"
