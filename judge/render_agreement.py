"""Agreement -> what a person reads in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console

from judge.gold.agreement import Agreement, DimensionAgreement, Kappas, Pair, PartAgreement
from judge.gold.model import RowKey
from judge.gold.rows import GoldRow
from judge.gold.texts import Texts
from judge.render_table import Row, figure_text, percent, plain, print_table, say
from judge.stats.estimate import Figure, Missing

COLUMNS = ("rows", "equal %", "kappa", "linear", "quadratic", "alpha")
MOST_PAIRS = 5  # of annotators, in the terminal
MOST_TEXT = 600  # characters of a text that is shown


def show_agreement(found: Agreement, console: Console) -> None:
    """Print the figures.

    Args:
        found: what to print.
        console: where; its width and colours are kept to.
    """
    rows: list[Row] = []
    for name, part in found.dimensions.items():
        rows.append((plain(name), *_cells(part)))
        rows += [(f"  {plain(sub)}", *_cells(piece)) for sub, piece in part.subcomponents.items()]
    print_table(console, ("Dimension", *COLUMNS), rows)
    say(console, _about(found), "dim")
    for name, part in found.dimensions.items():
        for line in dict.fromkeys(_reasons(part)):
            say(console, f"{plain(name)}: {line}")
        _show_pairs(name, part, console)


def show_rows(rows: Sequence[GoldRow], texts: Mapping[RowKey, Texts], console: Console) -> None:
    """Print rows on which annotators differ, with their texts where these are known."""
    say(console, "\nWhere they differ most", "bold")
    for row in rows:
        key, what = row.key, texts.get(row.key)
        part = what.subcomponent if what is not None else None
        place = (key.record_id, key.model, key.dimension, part)
        said = ", ".join(
            f"{plain(name)} {label or 'skipped'}" for name, label in row.first_marks.items()
        )
        decided = "" if row.adjudicated is None else f"; adjudicated {row.adjudicated}"
        say(console, f"\n{' · '.join(plain(p) for p in place if p)}: {said}{decided}", "bold")
        if what is not None:
            say(console, f"提示 prompt: {_shortened(what.prompt)}")
            say(console, f"回复 response: {_shortened(what.response)}")


def _shortened(text: str | None) -> str:
    if text is None:
        return "(not kept)"
    line = plain(text)
    return line if len(line) <= MOST_TEXT else f"{line[:MOST_TEXT]}… ({len(line):,} characters)"


def _cells(part: PartAgreement) -> Row:
    return (
        f"{part.compared}/{part.rows}",
        *_figures(part.observed, part.kappa),
        _coefficient(part.alpha),
    )


def _figures(observed: Figure, kappa: Kappas) -> Row:
    kappas = (kappa.unweighted, kappa.linear, kappa.quadratic)
    return (figure_text(observed, percent), *map(_coefficient, kappas))


def _coefficient(figure: Figure) -> str:
    return figure_text(figure, "{:.3f}".format)


def _about(found: Agreement) -> str:
    metrics = dict.fromkeys(
        f"{part.alpha_metric} for {'/'.join(map(str, part.labels))}"
        for part in found.dimensions.values()
    )
    weights = "; rows count 1 / inclusion" if found.weighted else ""
    return (
        f"[ , ] {100 * found.confidence:.4g}% intervals; rows: with two marks or more, of all;"
        " first marks, before adjudication; kappa: Cohen's, unweighted and weighted; alpha:"
        f" Krippendorff's, {', '.join(metrics)}{weights}"
    )


def _reasons(part: PartAgreement) -> Iterator[str]:
    named = {"equal": part.observed, "kappa": part.kappa.unweighted, "alpha": part.alpha}
    for what, figure in named.items():
        if isinstance(figure, Missing):
            yield f"no {what}: {figure.why}"


def _show_pairs(name: str, part: DimensionAgreement, console: Console) -> None:
    shown = part.pairs[:MOST_PAIRS]
    if len(part.pairs) > 1:
        rows = [
            (
                " / ".join(map(plain, pair.annotators)),
                str(pair.n),
                *_figures(pair.observed, pair.kappa),
            )
            for pair in shown
        ]
        say(console, f"\n{plain(name)}: pairs of annotators, the least agreeing first", "bold")
        print_table(console, ("Pair", *COLUMNS[:-1]), rows)
    if len(part.pairs) > len(shown):
        say(console, f"{len(part.pairs) - len(shown):,} more pairs are in --json", "dim")
    for pair in shown[:1]:
        _show_confusion(name, pair, console)


def _show_confusion(name: str, pair: Pair, console: Console) -> None:
    first, second = map(plain, pair.annotators)
    table = pair.confusion
    rows = [
        (
            f"{first} {label}",
            *(
                f"{n}\n{figure_text(share, percent, ' ')}"
                for n, share in zip(counts, shares, strict=True)
            ),
        )
        for label, counts, shares in zip(table.labels, table.counts, table.shares, strict=True)
    ]
    say(console, f"\n{plain(name)}: rows, and % of {pair.n}", "bold")
    print_table(console, ("", *(f"{second} {label}" for label in table.labels)), rows)
