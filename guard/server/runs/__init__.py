"""/v1/runs: files of records, judged beside the requests; a run survives a restart.

routes -> Intake (quotas, upload) -> RunStore (the folder, shared by all workers)
                                        ^
RunWorker (takes a run up by holding it) -> Job (one run to its end) -> judge.scoring
"""

from guard.server.runs.intake import Intake
from guard.server.runs.routes import Runs, no_runs
from guard.server.runs.store import RunStore
from guard.server.runs.worker import RunWorker

__all__ = ["Intake", "RunStore", "RunWorker", "Runs", "no_runs"]
