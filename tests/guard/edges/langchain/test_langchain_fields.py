"""What stands beside the words of a guarded agent's answer: it is the user's to read, too."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.tools import tool

from tests.contracts.guard_marks import ADVERT, BAD, SORRY, marked
from tests.guard.edges.langchain.test_langchain import agent, asking, calling, last, saying

ABOUT = {"finish_reason": "stop", "model_name": "deepseek-chat", "token_usage": {"total": 3}}


@pytest.mark.parametrize("harm", [ADVERT, BAD])
def test_what_a_provider_tells_about_an_answer_is_judged(harm: str) -> None:
    """Such as the titles of what it cites; what nobody could object to stays as it was."""
    cited = AIMessage("好", response_metadata={**ABOUT, "citations": [{"title": harm}]})
    assert last(agent(saying(cited), marked().guard).invoke(asking("问")))[0] == SORRY
    good = agent(saying(AIMessage("好", response_metadata=ABOUT)), marked().guard)
    message = good.invoke(asking("问"))["messages"][-1]
    assert (message.text, message.response_metadata) == ("好", ABOUT)


async def test_log_probabilities_are_left_out() -> None:
    """As everywhere: their tokens are no text that could be judged, and may be others than said."""
    tokens = {"content": [{"token": ADVERT, "top_logprobs": [{"token": BAD}]}]}
    answer = AIMessage("好", response_metadata={**ABOUT, "logprobs": tokens})
    state = await agent(saying(answer), marked().guard).ainvoke(asking("问"))
    told = {**ABOUT, "logprobs": None}
    assert (last(state)[0], state["messages"][-1].response_metadata) == ("好", told)


@pytest.mark.parametrize("direct", [True, False])
def test_pictures_that_a_tool_shows_count_as_the_policy_says(direct: bool) -> None:
    """Those for the user directly, and those that the model is to read."""

    @tool(return_direct=direct)
    def search(query: str) -> list[dict[str, Any]]:
        """Draw something."""
        return [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}]

    asked = asking("画")
    shown = agent(saying(calling(query="x"), "好"), marked().guard, [search]).invoke(asked)
    assert shown["messages"][-1].text == SORRY
    let = agent(saying(calling(query="x"), "好"), marked(unread="allow").guard, [search])
    assert "iVBO" in str(let.invoke(asked)["messages"])
