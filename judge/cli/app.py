"""The `flames-judge` command: its groups, and the one place where errors become exit statuses."""

from __future__ import annotations

import codecs
import io
import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from judge.cli import (
    agreement,
    annotate,
    cache,
    calibrate,
    compare,
    doctor,
    gold,
    import_verdicts,
    plan,
    respond,
    rubric,
    sample,
    score,
    stress,
    summarize,
)
from judge.errors import BudgetReached, FlamesJudgeError

app = typer.Typer(
    name="flames-judge",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help starts twice as fast
    pretty_exceptions_enable=False,
    help="Score Chinese LLM answers on the Flames benchmark, with a judge that can be trusted.",
    epilog="Exit status: 0 done; 2 can't run; 3 done, but rows are unreadable or unjudged; "
    "4 a check said no; 130 interrupted, resumable.",
)
app.command("score")(score.score)
app.command("respond")(respond.respond)
app.command("stress")(stress.stress)
app.command("summarize")(summarize.summarize)
app.command("plan")(plan.plan)
app.command("sample")(sample.sample)
app.command("annotate")(annotate.annotate)
app.command("agreement")(agreement.agreement)
app.command("calibrate")(calibrate.calibrate)
app.command("compare")(compare.compare)
app.command("import-verdicts")(import_verdicts.import_verdicts)
app.command("doctor")(doctor.doctor)
app.add_typer(gold.app, name="gold")
app.add_typer(rubric.app, name="rubric")
app.add_typer(cache.app, name="cache")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"flames-judge {version('flames-judge')}")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def run(program: typer.Typer) -> None:
    """Run the program; an error of ours is one line and an exit status, never a traceback."""
    _write_all_characters()
    try:
        try:
            program()
        finally:
            if sys.stdout is not None:  # closed, as by >&-
                sys.stdout.flush()
    except BudgetReached as error:
        print(f"flames-judge: {error}", file=sys.stderr)
        sys.exit(3)
    except FlamesJudgeError as error:
        print(f"flames-judge: {_one_line(str(error))}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:  # what is left: a full disk under standard output
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it again
        print(f"flames-judge: can't go on: {error.strerror or error}", file=sys.stderr)
        sys.exit(2)


def _write_all_characters() -> None:
    """Characters that a terminal's encoding lacks come out as escapes, and end nothing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and codecs.lookup(stream.encoding).name != "utf-8":
            stream.reconfigure(errors="backslashreplace")


def _one_line(message: str) -> str:
    from judge.text import visible

    return visible(" ".join(message.split()))
