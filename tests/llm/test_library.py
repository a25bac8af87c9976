"""litellm, loaded before anybody waits for it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests import warm

ROOT = Path(__file__).parents[2]
SCRIPT = """
import asyncio, socket, sys
from litellm.integrations.custom_logger import CustomLogger
from judge.llm.library import load_litellm
from tests.backends.test_llm import Setup

heard = []

class Log(CustomLogger):
    def log_pre_api_call(self, *args): heard.append("before")
    async def async_log_success_event(self, *args): heard.append("after")

class Server:
    base_url = "http://127.0.0.1:9/v1"

judge = Setup(Server).judge
load_litellm().callbacks = [Log()]
socket.socket.connect = socket.getaddrinfo = lambda *args, **more: heard.append("network")
before = set(sys.modules)
asyncio.run(judge.warm())
print(len(set(sys.modules) - before), heard)
"""


def test_a_judge_is_warm_without_a_call() -> None:
    """What a first call would load is loaded; no server is asked, and nobody's log hears of it."""
    ran = subprocess.run(warm.python(SCRIPT), cwd=ROOT, capture_output=True, text=True, check=True)
    loaded, heard = ran.stdout.split(maxsplit=1)
    assert int(loaded) > 0, ran.stderr
    assert heard.strip() == "[]"
