"""`flames-judge rubric`: see, check and start rubrics."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import Annotated

import typer

from judge.cli.options import RubricsOption
from judge.errors import InputError
from judge.text import visible

app = typer.Typer(no_args_is_help=True, help="The rubrics: list, show, check, new.")


@app.command("list")
def list_rubrics(
    rubrics: RubricsOption = None, json: Annotated[bool, typer.Option(help="Print JSON.")] = False
) -> None:
    """List the rubrics in use.

    Dimension, version, scale, criteria, subcomponents, fingerprint.
    """
    from judge.rubric import load_rubrics

    loaded = load_rubrics(rubrics)
    if json:
        print(json_module.dumps([_facts(r) for r in loaded.values()], ensure_ascii=False, indent=2))
        return
    for rubric in loaded.values():
        scale = "/".join(map(str, rubric.labels))
        suite = rubric.suite or "own"
        line = (
            f"{rubric.dimension:<16}{rubric.name_zh:<6}\t{rubric.version}  {scale:<6} {suite:<7}"
            f"{len(rubric.criteria)} criteria  {len(rubric.subcomponents)} subcomponents  "
            f"{rubric.fingerprint[:12]}"
        )
        print(visible(line))


def _facts(rubric: object) -> dict[str, object]:
    names = ("dimension", "name_zh", "version", "suite", "labels", "fingerprint")
    return {name: getattr(rubric, name) for name in names}


@app.command("show")
def show(
    dimension: Annotated[
        str, typer.Argument(metavar="DIMENSION", help="Its name, in English or Chinese.")
    ],
    rubrics: RubricsOption = None,
    prompt: Annotated[bool, typer.Option(help="The whole system prompt of a judge model.")] = False,
) -> None:
    """Show a rubric as annotators and judge models read it."""
    from judge.prompt import render_rubric, system_text
    from judge.rubric import load_rubrics

    loaded = load_rubrics(rubrics)
    rubric = loaded.find(dimension)
    if rubric is None:
        mend = "one of " + ", ".join(loaded)
        raise InputError(f"no rubric is named {dimension!r}", file="rubric show", mend=mend)
    if prompt:
        print(visible(system_text(rubric)))
        return
    print(visible(f"# {rubric.name_zh}（{rubric.dimension}）{rubric.version}\n"))
    print(visible(render_rubric(rubric)))


@app.command("check")
def check(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE", help="Rubric files or folders; ours without."),
    ] = None,
) -> None:
    """Validate rubrics, and list every problem.

    Exits with 4 where there is one.
    """
    from judge.rubric import check_rubric, rubric_files, shipped

    checked = [file for path in files for file in rubric_files(path)] if files else list(shipped())
    failed = False
    for file in checked:
        problems = check_rubric(file)
        failed |= bool(problems)
        for problem in problems:
            print(visible(str(problem)), file=sys.stderr)
        if not problems:
            print(f"{file}: sound")
    if failed:
        raise typer.Exit(4)


@app.command("new")
def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it: NAME.yaml.")],
) -> None:
    """Start a rubric of one's own from a commented template."""
    from judge.rubric import SHIPPED

    text = (SHIPPED / "template.yaml").read_text(encoding="utf-8")
    if file.exists():
        raise InputError("exists already", file=file, mend="give another name")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except OSError as error:
        raise InputError(f"can't be written: {error.strerror}", file=file) from None
    print(f"{file}: edit it, then `flames-judge rubric check {file}`;")
    print(f"score with it by --rubrics {file.parent}")
