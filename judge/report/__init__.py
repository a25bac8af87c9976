"""The report of a run: judged rows in (`Scored`), figures out (`Report`, written as summary.json).

tally = Tally(scales_of(rubrics))
tally.extend(rows)
report = build(tally, RunFacts(judge="llm:deepseek/deepseek-chat"))
"""

from judge.report.build import build
from judge.report.model import Report, RunFacts
from judge.report.rows import Scale, Scored, Tally, cluster_of, scales_of

__all__ = [
    "Report",
    "RunFacts",
    "Scale",
    "Scored",
    "Tally",
    "build",
    "cluster_of",
    "scales_of",
]
