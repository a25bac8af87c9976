"""The policy: its file, and what it comes to with a judge and a calibration."""

from __future__ import annotations

from guard.policy.files import default_policy, load_policy
from guard.policy.model import (
    CASCADE,
    EVIDENCE_KINDS,
    PASSES,
    SEVERITY,
    Action,
    BreakerPolicy,
    LlmSettings,
    Messages,
    Mode,
    Policy,
    Rule,
    Side,
    StreamPolicy,
    said_twice,
)

__all__ = [
    "CASCADE",
    "EVIDENCE_KINDS",
    "PASSES",
    "SEVERITY",
    "Action",
    "BreakerPolicy",
    "LlmSettings",
    "Messages",
    "Mode",
    "Policy",
    "Rule",
    "Side",
    "StreamPolicy",
    "default_policy",
    "load_policy",
    "said_twice",
]
