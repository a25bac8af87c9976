"""What tests of the server share."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What the server logs, also where `serve` has given its log another handler before."""
    log = logging.getLogger("flames_judge")
    log.addHandler(caplog.handler)
    yield caplog
    log.removeHandler(caplog.handler)
