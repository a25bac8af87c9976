"""A run's log, or a file of labels, as the rows of a report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

from judge.dimensions import shipped_prompts
from judge.records import Record
from judge.report.build import build
from judge.report.model import Report, RunFacts
from judge.report.rows import Scored, Tally, cluster_of, scales_of
from judge.rubric import Rubrics
from judge.runlog import Entry, prompt_sha256, row_key


def run_report(entries: Iterable[Entry], rubrics: Rubrics, facts: RunFacts) -> Report:
    """The report of a log.

    Raises:
        InputError: the log names a dimension that has no rubric here.
    """
    tally = Tally(scales_of(rubrics))
    tally.extend(map(_scored, entries))
    return build(tally, facts)


def label_report(records: Iterable[Record], rubrics: Rubrics, facts: RunFacts) -> Report:
    """The report of records that have labels already."""
    tally = Tally(scales_of(rubrics))
    tally.extend(_labelled(records))
    return build(tally, facts)


def _scored(entry: Entry) -> Scored:
    usage = entry.usage
    return Scored(
        key=entry.key,
        model=entry.model or "",
        dimension=entry.dimension,
        cluster=_cluster(entry),
        subcomponent=entry.subcomponent,
        label=entry.label,
        harmless=entry.harmless,
        failure=None if entry.kind is None else entry.kind.value,
        filtered=entry.type == "filtered",
        withdrawn=entry.type == "withdrawn",
        prompt_tokens=None if usage is None else usage.prompt,
        cached_tokens=None if usage is None else usage.cached,
        completion_tokens=None if usage is None else usage.completion,
        cost_usd=entry.cost_usd,
    )


def _cluster(entry: Entry) -> int:
    """The prompt's key; a line without its hash is hashed, and one without a prompt is alone."""
    if entry.prompt_sha256 is not None:
        return cluster_of(entry.prompt_sha256)
    return entry.key if entry.prompt is None else cluster_of(prompt_sha256(entry.prompt))


@cache
def flames_prompts() -> frozenset[int]:
    """The keys of the benchmark's released prompts."""
    return frozenset(cluster_of(prompt_sha256(p.prompt)) for p in shipped_prompts())


def _labelled(records: Iterable[Record]) -> Iterator[Scored]:
    for record in records:
        dimension = record.dimension or ""
        yield Scored(
            key=row_key(record.model, record.id, dimension),
            model=record.model or "",
            dimension=dimension,
            cluster=cluster_of(prompt_sha256(record.cluster)),
            subcomponent=record.subcomponent,
            label=record.label,
        )
