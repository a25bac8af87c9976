"""Policies read from files: a user's, and the shipped one."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from guard.policy.model import Policy
from judge.errors import InputError
from judge.misfits import first_misfit
from judge.strict_yaml import read_yaml


def default_policy() -> Policy:
    """The shipped policy: evidence alone, no key, no network, no calibration."""
    file = resources.files("guard") / "default_policy.yaml"
    return Policy.model_validate(read_yaml(file).content)


def load_policy(file: Path) -> Policy:
    """Read and validate a policy file; paths in it become relative to the working folder.

    Raises:
        InputError: it can't be read or isn't a policy; names the line and the first problem.
    """
    document = read_yaml(file)
    if not isinstance(document.content, dict):
        raise InputError("is no policy", file=file, mend="start it with `version: 1` and `rules:`")
    try:
        policy = Policy.model_validate(document.content)
    except ValidationError as error:
        first = first_misfit(error, Policy)
        line = document.line(first.place)
        raise InputError(first.problem, file=file, line=line, mend=first.mend) from None
    beside = {
        key: str(file.parent / value)
        for key, value in (("calibration", policy.calibration), ("rubrics", policy.rubrics))
        if value is not None
    }
    written = {path: getattr(policy, key) for key, path in beside.items()}
    policy = policy.model_copy(update=beside)
    policy._file, policy._written = file, written  # noqa: SLF001 - its own
    return policy
