"""What a report means for the exit status."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from judge.report.model import Report


def left_unjudged(report: Report) -> bool:
    """Whether rows are unjudged for another reason than that the judge abstained."""
    return any(
        count and kind != "abstained"
        for model in report.models.values()
        for dimension in model.dimensions.values()
        for kind, count in dimension.unjudged.items()
    )
