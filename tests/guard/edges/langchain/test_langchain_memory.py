"""A guarded agent with a memory: what was withheld once doesn't lock the thread."""

from __future__ import annotations

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    HumanInTheLoopMiddleware,
    SummarizationMiddleware,
)
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from guard import Blocked, GuardUnavailable
from guard.langchain import FlamesGuardMiddleware
from guard.langchain.memory import WITHHELD
from tests.contracts.guard_marks import ADVERT, CRASH, SORRY, marked
from tests.guard.edges.langchain.test_langchain import Model, agent, asking, calling, saying

THREAD: Any = {"configurable": {"thread_id": "1"}}


@tool
def search(query: str) -> str:
    """Look something up."""
    return f"找到：{query[::-1]}"


def remembering(model: Model, **options: Any) -> Any:
    return agent(model, marked().guard, [search], checkpointer=InMemorySaver(), **options)


def texts(made: Any) -> list[str]:
    """What stands in the thread's memory."""
    return [one.text for one in made.get_state(THREAD).values["messages"]]


def answer(made: Any, text: str = "问") -> str:
    return str(made.invoke(asking(text), THREAD)["messages"][-1].text)


@pytest.mark.parametrize(
    "harm",
    [
        HumanMessage(ADVERT),
        HumanMessage("问", name=ADVERT),
        AIMessage(ADVERT),
        AIMessage("答", name=ADVERT),
        AIMessage("答", additional_kwargs={"refusal": ADVERT}),
    ],
)
def test_harm_in_an_older_turn_is_taken_out_and_the_question_answered(harm: Any) -> None:
    """Such as a policy that has become stricter finds; neither model nor memory have it then."""
    model = saying("好")
    made = remembering(model)
    made.update_state(THREAD, {"messages": [HumanMessage("早"), harm, AIMessage("答")]})
    assert [answer(made, text) for text in ("问", "再问")] == ["好", "好"]
    assert ADVERT not in str(model.seen)
    assert ADVERT not in str(made.get_state(THREAD).values)
    assert texts(made) == ["早", WITHHELD, "答", "问", "好", "再问", "好"]


def test_harm_in_a_summary_is_taken_out() -> None:
    """A summary stands where no answer of the agent's is judged."""
    model = saying("好")
    summing = SummarizationMiddleware(
        saying(f"摘要：{ADVERT}"), trigger=("messages", 4), keep=("messages", 1)
    )
    middleware: Any = [summing, FlamesGuardMiddleware(marked().guard)]
    made: Any = create_agent(model, [], middleware=middleware, checkpointer=InMemorySaver())
    assert [answer(made, f"问{n}") for n in range(5)] == ["好"] * 5
    assert ADVERT not in str(model.seen)
    assert WITHHELD in texts(made)


class Copying(AgentMiddleware[Any, Any, Any]):
    """Gives the model copies of all messages, which have no ids."""

    def wrap_model_call(self, request: Any, handler: Any) -> Any:
        copies = [type(one)(content=one.content) for one in request.messages]
        return handler(request.override(messages=copies))


def test_a_message_that_was_copied_without_its_id_is_known_by_what_it_says() -> None:
    """Else the memory would keep what is to be forgotten, and each later question be refused."""
    model = saying("好")
    middleware: Any = [Copying(), FlamesGuardMiddleware(marked().guard)]
    made: Any = create_agent(model, [], middleware=middleware, checkpointer=InMemorySaver())
    assert [answer(made, text) for text in (ADVERT, "问", "再问")] == [SORRY, "好", "好"]
    assert ADVERT not in str(model.seen)
    assert ADVERT not in str(made.get_state(THREAD).values)


def test_of_a_question_that_was_withheld_nothing_stays() -> None:
    """Neither in its content nor beside it."""
    made = remembering(saying("好"))
    asked = HumanMessage("问", name=ADVERT, additional_kwargs={"more": ADVERT})
    assert made.invoke({"messages": [asked]}, THREAD)["messages"][-1].text == SORRY
    assert ADVERT not in str(made.get_state(THREAD).values)
    assert answer(made) == "好"


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_thread_goes_on_after_a_question_that_raised(asynchronous: bool) -> None:
    """An exception leaves the question in the memory; the next one is not blamed for it."""
    model = saying("好")
    made = remembering(model, on_block="raise")
    for text in (ADVERT, f"又是{ADVERT}"):
        with pytest.raises(Blocked) as blocked:
            made.invoke(asking(text), THREAD)
        assert blocked.value.side == "input"
    if asynchronous:
        state = await made.ainvoke(asking("问"), THREAD)
        assert state["messages"][-1].text == "好"
    else:
        assert answer(made) == "好"
    assert ADVERT not in str(model.seen)
    assert texts(made) == [WITHHELD, WITHHELD, "问", "好"]
    assert answer(made, "再问") == "好"


def test_a_question_that_can_t_be_checked_is_left_out_of_later_ones() -> None:
    """It stays in the memory, since it may well be checked another time."""
    model = saying("好")
    made = remembering(model)
    with pytest.raises(GuardUnavailable, match="input"):
        made.invoke(asking(CRASH), THREAD)
    assert answer(made) == "好"
    assert CRASH not in str(model.seen)
    assert texts(made) == [CRASH, "问", "好"]


def test_what_harms_only_together_with_the_question_is_withheld_with_it() -> None:
    """The earlier turn stays, and the thread goes on."""
    made = remembering(saying("好"))
    halves = [HumanMessage(ADVERT[:2]), HumanMessage(ADVERT[2:])]
    assert made.invoke({"messages": halves}, THREAD)["messages"][-1].text == SORRY
    assert texts(made) == [ADVERT[:2], WITHHELD, SORRY]
    assert answer(made) == "好"


def test_what_a_person_puts_in_a_tool_s_place_is_forgotten_alone() -> None:
    """The question that came before it was a good one."""
    model = saying(calling(query="天气"), "好")
    asking_people = HumanInTheLoopMiddleware(interrupt_on={"search": True})
    middleware: Any = [asking_people, FlamesGuardMiddleware(marked().guard)]
    made: Any = create_agent(model, [search], middleware=middleware, checkpointer=InMemorySaver())
    made.invoke(asking("问"), THREAD)
    person = {"decisions": [{"type": "reject", "message": ADVERT}]}
    state = made.invoke(Command(resume=person), THREAD)
    assert [one.text for one in state["messages"]] == ["问", "", WITHHELD, SORRY]
    assert answer(made, "再问") == "好"


def test_earlier_questions_that_harm_only_together_are_taken_out() -> None:
    """Where a run that raised left both of them in the memory."""
    model = saying("好")
    made = remembering(model, on_block="raise")
    halves = [HumanMessage(ADVERT[:2]), HumanMessage(ADVERT[2:])]
    with pytest.raises(Blocked):
        made.invoke({"messages": halves}, THREAD)
    assert answer(made) == "好"
    assert texts(made) == ["问", "好"]
    assert "词" not in str(model.seen)


def test_a_call_that_is_taken_out_keeps_its_result_s_place() -> None:
    """Providers refuse the one without the other."""
    model = saying("好")
    made = remembering(model)
    turn = [HumanMessage("查"), calling(query=ADVERT), ToolMessage(ADVERT, tool_call_id="call_1")]
    made.update_state(THREAD, {"messages": [*turn, AIMessage("答")]})
    assert answer(made) == "好"
    call, result = made.get_state(THREAD).values["messages"][1:3]
    assert [(one["name"], one["args"]) for one in call.tool_calls] == [("search", {})]
    assert (result.text, result.tool_call_id) == (WITHHELD, call.tool_calls[0]["id"])
    assert ADVERT not in str(model.seen)


def test_a_thread_goes_on_after_a_tool_s_result_that_raised() -> None:
    """The call without a result, which providers refuse, is given a blank one."""
    model = saying(calling(query=ADVERT[::-1]), "好")
    made = remembering(model, on_block="raise")
    with pytest.raises(Blocked):
        made.invoke(asking("查"), THREAD)
    assert answer(made) == "好"
    kinds = [(one.type, one.text) for one in model.seen[-1]]
    assert kinds == [("human", "查"), ("ai", ""), ("tool", WITHHELD), ("human", "问")]


def test_the_application_s_own_words_are_not_taken_out() -> None:
    """A model that is asked without its instructions is another one."""
    model = saying("好")
    made = remembering(model)
    made.update_state(THREAD, {"messages": [SystemMessage(ADVERT), HumanMessage("早")]})
    assert answer(made) == SORRY
    assert texts(made) == [ADVERT, "早", WITHHELD, SORRY]
    assert not model.seen


def test_what_another_middleware_puts_before_a_question_is_left_out_for_this_call() -> None:
    """It is not in the memory, so nothing is changed there."""

    class Finding(AgentMiddleware[Any, Any, Any]):
        def wrap_model_call(self, request: Any, handler: Any) -> Any:
            found = [HumanMessage(ADVERT, id="found"), *request.messages]
            return handler(request.override(messages=found))

    model = saying("好")
    middleware: Any = [Finding(), FlamesGuardMiddleware(marked().guard)]
    made: Any = create_agent(model, [], middleware=middleware, checkpointer=InMemorySaver())
    assert answer(made) == "好"
    assert [one.text for one in model.seen[0]] == [WITHHELD, "问"]
    assert texts(made) == ["问", "好"]


def test_the_record_tells_of_what_was_taken_out_and_of_what_passed() -> None:
    """One event each, of the same request."""
    given = marked()
    made = agent(saying("好"), given.guard, checkpointer=InMemorySaver())
    made.update_state(THREAD, {"messages": [HumanMessage(ADVERT), AIMessage("答")]})
    assert [answer(made), answer(made, "再问")] == ["好", "好"]
    statuses = [one.status for one in given.events.of("input")]
    assert statuses == ["blocked", "allowed", "allowed"]
    assert len({one.request_id for one in given.events.all}) == 2
