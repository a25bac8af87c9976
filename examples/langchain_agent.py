"""A LangChain agent with the guard around its model and its tool.

    pip install 'flames-judge[langchain]' langchain-openai
    UPSTREAM_BASE_URL=http://127.0.0.1:8091/v1 UPSTREAM_MODEL=NAME \
        python examples/langchain_agent.py "上海现在几点？"

The model is any behind an OpenAI-compatible server; UPSTREAM_API_KEY is its key. GUARD_POLICY names
another policy.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from guard.langchain import FlamesGuardMiddleware

POLICY = os.environ.get("GUARD_POLICY", str(Path(__file__).with_name("policy.yaml")))


@tool
def clock(zone: str) -> str:
    """The time in a time zone, such as Asia/Shanghai."""
    now = datetime.now(ZoneInfo(zone))
    return f"It is {now:%H:%M} on {now:%A, %d %B %Y} in {zone}."


def main() -> None:
    """Ask the agent what the command line says, and print its answer."""
    model = ChatOpenAI(
        base_url=os.environ.get("UPSTREAM_BASE_URL", "http://127.0.0.1:8091/v1"),
        api_key=os.environ.get("UPSTREAM_API_KEY", "none"),  # type: ignore[arg-type]
        model=os.environ.get("UPSTREAM_MODEL", "default"),
    )
    agent = create_agent(model, [clock], middleware=[FlamesGuardMiddleware(POLICY)])
    question = " ".join(sys.argv[1:]) or "上海现在几点？"
    state = agent.invoke({"messages": [{"role": "user", "content": question}]})
    print(state["messages"][-1].text)


if __name__ == "__main__":
    main()
