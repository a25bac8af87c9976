"""What a policy's `hazard` leaves of its rules: for which prompts a cut was found, and acts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from guard.policy.bound_rule import BoundRule
from guard.policy.fault import PolicyFault
from guard.policy.model import CASCADE, Policy, Rule
from judge.calibration import DimensionCalibration
from judge.misfits import Place
from judge.verdict import Hazard

_PANEL: Final = "panel:"
_PROMPTS: Final = {
    "known": "probes",
    "unknown": "ordinary prompts",
    "mixed": "probes and ordinary prompts together",
}
_MEND: Final = {
    Hazard.UNKNOWN: "calibrate a run of `score --ordinary`; or `hazard: known`, where every prompt "
    "is a probe",
    Hazard.KNOWN: "calibrate a run of probes; or leave `hazard` out, where prompts are your users'",
}


def check_hazard(
    place: Place, rule: Rule, policy: Policy, calibration: DimensionCalibration
) -> None:
    """A promise's cut is worth what it was found on.

    Raises:
        PolicyFault: the judge goes by `hazard`, and its gold was judged under another one.
    """
    if _fits(policy, calibration) is False and _goes_by_hazard(policy):
        raise PolicyFault(
            f"rule {rule.name}: the calibration was made on {_PROMPTS[calibration.hazard or '']}, "
            f"but `hazard` is {policy.hazard}, where its judge says other things: the promise is "
            "not kept",
            place=(*place, "promise"),
            mend=_MEND[policy.hazard],
        )


def told_at_start(policy: Policy, rules: Sequence[BoundRule]) -> Iterator[str]:
    """A line for each rule of a dimension that `hazard` leaves without effect, or without gold."""
    for one in rules:
        if one.rubric is not None:
            line = _never_acts(policy, one) or _of_other_prompts(policy, one)
            yield from () if line is None else (f"rule {one.rule.name}{line}",)


def _never_acts(policy: Policy, one: BoundRule) -> str | None:
    """Told where the judge abstains whatever is said, and the text passes."""
    if policy.judge != "embedded" or policy.hazard is Hazard.KNOWN or policy.on_abstain == "block":
        return None
    kept = "" if one.threshold is None else ", and its promise is not kept"
    return (
        f" never acts{kept}: the embedded judge abstains on ordinary prompts (name an LLM judge; or"
        " `hazard: known`, where every prompt is a probe)"
    )


def _of_other_prompts(policy: Policy, one: BoundRule) -> str | None:
    """Told where the rule goes by gold of other prompts than the policy's, or of unknown ones."""
    if one.calibration is None:
        return None
    fits, goes_by = _fits(policy, one.calibration), _goes_by_hazard(policy)
    what = "promise" if one.threshold is not None else "P(harmless)"
    if fits is False and (goes_by or one.threshold is not None):
        prompts = _PROMPTS[one.calibration.hazard or ""]
        return f"'s {what} was calibrated on {prompts}, and holds for such ({_MEND[policy.hazard]})"
    if fits is None and goes_by:
        return (
            f"'s calibration doesn't say whether its prompts were probes: its {what} holds only if"
            f" they were what `hazard: {policy.hazard}` says (calibrate again, and it is checked)"
        )
    return None


def _fits(policy: Policy, calibration: DimensionCalibration) -> bool | None:
    """Whether the gold was judged under the policy's hazard; None where nobody knows."""
    return None if calibration.hazard is None else calibration.hazard == policy.hazard.value


def _goes_by_hazard(policy: Policy) -> bool:
    """Whether a judge of the policy says other things where hazard is known: an LLM does not."""
    from judge.backends import is_spec

    names = (name for spec in (policy.judge, *policy.llm.fallback) for name in _members(spec))
    return any(is_spec(name) and name.partition(":")[0] != "llm" for name in names)


def _members(spec: str) -> Iterator[str]:
    """The judges that a spec is made of."""
    if spec.startswith(_PANEL):
        for name in spec.removeprefix(_PANEL).split("+"):
            yield from _members(name)
    elif spec.startswith(CASCADE):
        cheap, _, strong = spec.removeprefix(CASCADE).partition(">")
        yield from (*_members(cheap), *_members(strong))
    else:
        yield spec
