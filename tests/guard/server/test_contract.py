"""`serve` keeps the guard's contract."""

from __future__ import annotations

import pytest

from tests.contracts.guard_contract import (
    AheadContract,
    ChoicesContract,
    DisconnectContract,
    Edge,
    EdgeContract,
    RegenerateContract,
    StreamContract,
    ToolsContract,
)
from tests.guard.server.edge import ServeEdge


class TestServe(
    EdgeContract,
    RegenerateContract,
    StreamContract,
    AheadContract,
    ChoicesContract,
    ToolsContract,
    DisconnectContract,
):
    """Over real sockets."""

    @pytest.fixture
    def edge(self) -> Edge:
        return ServeEdge()
