"""What all requests of a worker share goes by the files as they were read, once."""

from __future__ import annotations

import pickle
from pathlib import Path

from guard.loading import Given, calibration_id, read_plan
from guard.server.settings import Settings
from guard.server.state import open_state
from judge.calibration import save_calibration
from judge.rubric import SHIPPED, load_rubric
from judge.testing import ScriptedJudge
from tests.guard.made import WordScanner, calibration, threshold

POLICY = """version: 1
judge: embedded
calibration: c.json
rubrics: mine
rules:
  - {dimension: Legality, promise: {miss_rate: 0.05, confidence: 0.95}, action: block}
"""


def test_a_worker_needs_no_file_of_the_policy_any_more(tmp_path: Path) -> None:
    """Its process is given what was read: guard, records, watch and label queue go by that."""
    judge = ScriptedJudge(lambda _: 0.9)
    own = tmp_path / "mine" / "legality.yaml"
    own.parent.mkdir()
    shipped = (SHIPPED / own.name).read_text("utf-8")
    own.write_text(shipped.replace("version: 1", "version: 9"), encoding="utf-8")
    rubric = load_rubric(own)
    made, ref = calibration(judge, threshold()), judge.ref(rubric)
    of_it = {"rubric": rubric.fingerprint, "prompt": ref.fingerprint}
    legality = made.dimensions["Legality"].model_copy(
        update={**of_it, "signers": {ref.fingerprint: ref.name}}
    )
    known = made.model_copy(update={"judge": ref, "dimensions": {"Legality": legality}})
    save_calibration(tmp_path / "c.json", known)
    (tmp_path / "policy.yaml").write_text(POLICY, encoding="utf-8")
    plan = pickle.loads(pickle.dumps(read_plan(tmp_path / "policy.yaml")))
    for file in (own, tmp_path / "c.json", tmp_path / "policy.yaml"):
        file.unlink()
    kept = tmp_path / "drift.json"
    settings = Settings(plan, "http://127.0.0.1:9/v1", labels=tmp_path / "queue", drift=kept)
    state = open_state(settings, Given(judge=judge, scanner=WordScanner()))
    with state.closing:
        assert state.guard.calibration_id == calibration_id(known)
        assert state.bench.calibration == known
        assert state.rubrics["Legality"] == rubric
        assert state.guard.policy.id == plan.policy.id
