"""The calibrated judge around a chatbot at run time.

    policy -> binding (judge, calibration) -> Guard.check(texts) -> Decision -> edge; audit sees it

`guard.cli` composes the command line. The names here are loaded when they are asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guard.audit import open_log
    from guard.client import FlamesClient, FlamesError
    from guard.decision import Decision, Part
    from guard.engine import Asked, Guard
    from guard.errors import AnswerBroken, Blocked, GuardUnavailable
    from guard.event import AuditSink, GuardEvent
    from guard.loading import Given, load_guard
    from guard.policy import Policy, load_policy
    from guard.wrapping import wrap

_HOMES = {
    "AnswerBroken": "guard.errors",
    "Asked": "guard.engine",
    "AuditSink": "guard.event",
    "Blocked": "guard.errors",
    "Decision": "guard.decision",
    "FlamesClient": "guard.client",
    "FlamesError": "guard.client",
    "Given": "guard.loading",
    "Guard": "guard.engine",
    "GuardEvent": "guard.event",
    "GuardUnavailable": "guard.errors",
    "Part": "guard.decision",
    "Policy": "guard.policy",
    "load_guard": "guard.loading",
    "load_policy": "guard.policy",
    "open_log": "guard.audit",
    "wrap": "guard.wrapping",
}

__all__ = [
    "AnswerBroken",
    "Asked",
    "AuditSink",
    "Blocked",
    "Decision",
    "FlamesClient",
    "FlamesError",
    "Given",
    "Guard",
    "GuardEvent",
    "GuardUnavailable",
    "Part",
    "Policy",
    "load_guard",
    "load_policy",
    "open_log",
    "wrap",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
