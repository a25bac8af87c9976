"""Who hears of decisions beside the logs."""

from __future__ import annotations

import stat
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from guard.loading import read_plan
from guard.policy import default_policy
from guard.server.settings import Settings
from guard.server.state import open_state
from guard.server.watchers import SECRET, people
from judge.errors import InputError
from judge.testing import ScriptedJudge
from tests.guard.made import RUBRICS


def drawn(folder: Path) -> list[bool]:
    """Which of a hundred conversations a server draws for people."""
    settings = Settings(read_plan(default_policy()), "", labels=folder, label_share=0.5)
    with ExitStack() as stack:
        queue = people(settings, [], lambda _: None, stack)
        assert queue is not None
        made = queue(ScriptedJudge(lambda _: 0.9), [RUBRICS["Legality"]])
    return [made._draw.has(str(number)) for number in range(100)]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
def test_a_restart_goes_on_with_the_same_sample(tmp_path: Path) -> None:
    """What makes the draw is kept, for its owner alone."""
    assert drawn(tmp_path / "queue") == drawn(tmp_path / "queue") != drawn(tmp_path / "other")
    assert stat.S_IMODE((tmp_path / "queue" / SECRET).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "queue").stat().st_mode) == 0o700


@pytest.mark.parametrize("left", [b"", b"half"])
def test_a_secret_that_was_cut_off_draws_nothing(tmp_path: Path, left: bytes) -> None:
    """With an empty one anybody could tell who is drawn."""
    (tmp_path / SECRET).write_bytes(left)
    with pytest.raises(InputError, match="holds no whole secret") as raised:
        drawn(tmp_path)
    assert raised.value.file == tmp_path / SECRET


@pytest.mark.parametrize("fills", ["drift", "labels"])
def test_what_one_server_fills_is_refused_to_another(tmp_path: Path, fills: str) -> None:
    """A conversation would count twice there; it is free once the other has ended."""
    policy, place = tmp_path / "policy.yaml", tmp_path / "place"
    policy.write_text("version: 1\nrules: [{evidence: pii, action: block}]\n", encoding="utf-8")
    settings = replace(Settings(read_plan(policy), "http://127.0.0.1:9/v1"), **{fills: place})
    for _ in range(2):
        with open_state(settings).closing:
            with pytest.raises(InputError, match="another server is writing there") as raised:
                open_state(settings)
            assert raised.value.file == place
