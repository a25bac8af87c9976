"""What tests of the server share."""

from __future__ import annotations

import logging

import pytest


@pytest.fixture
def logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> pytest.LogCaptureFixture:
    """What the server logs, also where `serve` has kept its log to itself before."""
    monkeypatch.setattr(logging.getLogger("flames_judge"), "propagate", True)
    return caplog
