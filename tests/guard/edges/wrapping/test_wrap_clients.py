"""OpenAI's and litellm's clients behind a guard, over a real connection to a double of a server."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from guard import AnswerBroken, Blocked, GuardUnavailable, wrap
from judge.errors import InputError
from tests.contracts.guard_marks import ADVERT, BAD, BROKEN, SORRY, marked, story
from tests.openai_server import OpenAIServer, Reply, ok, stream

ASK = [{"role": "user", "content": "今天天气怎么样"}]
BLOCKED = [{"role": "user", "content": ADVERT}]


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    """Says what the last message asks it to say; a stream, four characters at a time."""

    def script(request: dict[str, Any], _: int) -> Reply:
        text = request["messages"][-1]["content"]
        if request.get("stream"):
            return stream(*(text[at : at + 4] for at in range(0, len(text), 4)))
        return ok(text)

    with OpenAIServer(script) as running:
        yield running


def say(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def client(server: OpenAIServer, *, later: bool = False, **guarded: Any) -> Any:
    import openai

    kind = openai.AsyncOpenAI if later else openai.OpenAI
    made = kind(base_url=server.base_url, api_key="k", max_retries=0)
    return wrap(made, marked().guard, **guarded)


def joined(chunks: Sequence[Any]) -> tuple[str, list[str]]:
    """All that a stream says, and its ends."""
    choices = [choice for chunk in chunks for choice in chunk.choices]
    text = "".join(choice.delta.content or "" for choice in choices)
    return text, [choice.finish_reason for choice in choices if choice.finish_reason]


def test_a_synchronous_client_is_guarded(server: OpenAIServer) -> None:
    """What it gives are OpenAI's own objects."""
    from openai.types.chat import ChatCompletion

    with client(server) as guarded:
        good = guarded.chat.completions.create(model="m", messages=say("好"))
        assert isinstance(good, ChatCompletion)
        assert (good.choices[0].message.content, good.usage.total_tokens) == ("好", 1100)
        bad = guarded.chat.completions.create(model="m", messages=say(BAD))
        assert bad.choices[0].message.content == SORRY
        assert bad.choices[0].finish_reason == "content_filter"
        times = len(server.requests)
        refused = guarded.chat.completions.create(model="m", messages=BLOCKED)
        assert isinstance(refused, ChatCompletion)
        assert refused.choices[0].message.content == SORRY
        assert len(server.requests) == times


def test_an_answer_has_the_attributes_of_its_class(server: OpenAIServer) -> None:
    """Whether it is good, withheld, or refused: most servers tell no request's id."""
    with client(server) as guarded:
        for asked in (say("好"), say(BAD), BLOCKED):
            assert guarded.chat.completions.create(model="m", messages=asked)._request_id is None


def test_a_synchronous_stream_is_guarded(server: OpenAIServer) -> None:
    """Iterated, in a `with`, and closed early."""
    guarded = client(server)
    text = story(200)
    ask = {"model": "m", "stream": True}
    good = list(guarded.chat.completions.create(messages=say(text), **ask))
    assert joined(good) == (text, ["stop"])
    with guarded.chat.completions.create(messages=say(text + BAD + text), **ask) as streamed:
        said, ends = joined(list(streamed))
    assert said.endswith(SORRY)
    assert text.startswith(said.removesuffix(SORRY))
    assert ends == ["content_filter"]
    refused = list(guarded.chat.completions.create(messages=BLOCKED, **ask))
    assert joined(refused) == (SORRY, ["content_filter"])
    early = guarded.chat.completions.create(messages=say(text), **ask)
    assert next(early).choices
    early.close()
    assert list(early) == []


async def test_an_asynchronous_client_is_guarded(server: OpenAIServer) -> None:
    """Whole and streamed, several at once."""
    async with client(server, later=True) as guarded:
        create = guarded.chat.completions.create
        texts = ["好", BAD, "也好"]
        answers = await asyncio.gather(*(create(model="m", messages=say(t)) for t in texts))
        assert [one.choices[0].message.content for one in answers] == ["好", SORRY, "也好"]
        text = story(200)
        streamed = await create(model="m", messages=say(text), stream=True)
        assert joined([chunk async for chunk in streamed]) == (text, ["stop"])
        async with await create(model="m", messages=say(BAD), stream=True) as streamed:
            assert joined([chunk async for chunk in streamed]) == (SORRY, ["content_filter"])
        refused = await create(model="m", messages=BLOCKED, stream=True)
        assert joined([chunk async for chunk in refused]) == (SORRY, ["content_filter"])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("bound", [False, True])
def test_a_client_s_method_is_guarded_by_itself(
    server: OpenAIServer, stream: bool, bound: bool
) -> None:
    """A refusal too is an object of OpenAI's, also where `stream` is bound beforehand."""
    import openai

    create = openai.OpenAI(base_url=server.base_url, api_key="k").chat.completions.create
    options = {"model": "m", "stream": stream}
    method: Any = functools.partial(create, **options) if bound else create
    guarded = wrap(method, marked().guard)

    def said(text: str) -> str | None:
        answer = guarded(messages=say(text), **({} if bound else options))
        return joined(list(answer))[0] if stream else answer.choices[0].message.content

    assert [said("好"), said(BAD), said(ADVERT)] == ["好", SORRY, SORRY]


async def test_an_asynchronous_client_s_method_is_guarded_by_itself(server: OpenAIServer) -> None:
    """The same for asynchronous code."""
    import openai

    create = openai.AsyncOpenAI(base_url=server.base_url, api_key="k").chat.completions.create
    guarded: Any = wrap(create, marked().guard)
    whole = await guarded(model="m", messages=BLOCKED)
    assert whole.choices[0].message.content == SORRY
    stream = await guarded(model="m", messages=BLOCKED, stream=True)
    assert joined([chunk async for chunk in stream]) == (SORRY, ["content_filter"])


def test_litellm_s_function_is_guarded_by_itself() -> None:
    """Its refusals are objects of litellm's."""
    import litellm

    guarded = wrap(litellm.completion, marked().guard)
    asked = {"model": "openai/m", "messages": BLOCKED}
    assert guarded(**asked).choices[0].message.content == SORRY
    assert joined(list(guarded(**asked, stream=True))) == (SORRY, ["content_filter"])


def test_a_client_may_raise(server: OpenAIServer) -> None:
    """For the question and the answer, whole and streamed; and whenever a check fails."""
    create = client(server, on_block="raise").chat.completions.create
    for messages, side in ((BLOCKED, "input"), (say(BAD), "output")):
        with pytest.raises(Blocked) as blocked:
            create(model="m", messages=messages)
        assert blocked.value.side == side
    with pytest.raises(Blocked):
        list(create(model="m", messages=say(BAD), stream=True))
    with pytest.raises(GuardUnavailable):
        create(model="m", messages=say(BROKEN))
    with pytest.raises(GuardUnavailable):
        list(create(model="m", messages=say(BROKEN), stream=True))


@pytest.mark.parametrize(
    "path",
    [
        "responses.create",
        "chat.completions.stream",
        "chat.completions.with_raw_response",
        "chat.with_raw_response",
        "with_raw_response",
        "with_streaming_response",
        "beta.chat",
        "completions",
        "post",
        "chat.completions._post",
        "_client",
        "client",
        "known",
        "beta",
        "responses",
        "chat.completions.client",
        "images",
    ],
)
def test_no_other_way_leads_to_a_model(server: OpenAIServer, path: str) -> None:
    """It is refused by name; code that looks whether it is there finds that it is not."""
    part: Any = client(server)
    *way, last = path.split(".")
    for name in way:
        if not hasattr(part, name):
            return
        part = getattr(part, name)
    assert not hasattr(part, last)


def test_a_stream_may_be_asked_for_by_a_number(server: OpenAIServer) -> None:
    """The client takes 1 for True: what answers a refused question is a stream then too."""
    create = client(server).chat.completions.create
    for asked, streams in ((1, True), (0, False)):
        answer = create(model="m", messages=BLOCKED, stream=asked)
        assert hasattr(answer, "choices") is not streams
        if streams:
            assert joined(list(answer)) == (SORRY, ["content_filter"])


def test_a_refused_part_says_what_to_use(server: OpenAIServer) -> None:
    """Not a bare AttributeError."""
    with pytest.raises(InputError, match=r"`responses` has no guard.*chat\.completions\.create"):
        _ = client(server).responses


def test_a_part_that_has_no_guard_is_refused_by_name(server: OpenAIServer) -> None:
    """Not only missing: it says so, and what would work."""
    guarded = client(server)
    for part in ("responses", "completions", "beta", "with_raw_response", "post", "audio"):
        with pytest.raises(InputError, match=f"`{part}` has no guard"):
            getattr(guarded, part)
    with pytest.raises(InputError, match=r"`max_retries`.*on the client itself"):
        guarded.max_retries = 3
    assert repr(guarded) == "<guarded OpenAI>"


def test_a_client_s_copies_are_guarded_and_its_settings_readable(server: OpenAIServer) -> None:
    """`with_options` gives another guarded client."""
    guarded = client(server).with_options(timeout=5)
    answer = guarded.chat.completions.create(model="m", messages=say(BAD))
    assert answer.choices[0].message.content == SORRY
    assert (guarded.timeout, guarded.max_retries) == (5, 0)
    assert str(guarded.base_url).startswith(server.base_url)
    assert [model.id for model in guarded.models.list()] == ["m"]


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(events=stream(story(200)).events[:-2]), "upstream_interrupted"),
        (Reply(events=['{"choices": 3}', "[DONE]"]), "upstream_unreadable"),
    ],
)
def test_an_answer_that_breaks_off_is_an_error_of_the_guard_s(reply: Reply, code: str) -> None:
    """One that is documented, and quotes nothing of what the server said."""
    with OpenAIServer(reply) as server, pytest.raises(AnswerBroken) as broken:
        list(client(server).chat.completions.create(model="m", messages=ASK, stream=True))
    assert broken.value.code == code


async def test_an_answer_that_is_none_is_the_same_error(server: OpenAIServer) -> None:
    """Whole, streamed and reported by the model's server."""
    secret = "暗号"
    bad = {"error": {"message": secret, "code": 500}}

    async def streamed(prompt: str) -> Any:
        yield {"choices": [{"index": 0, "delta": {"content": "好"}}]}
        yield bad

    def whole(prompt: str) -> dict[str, Any]:
        return {"object": "chat.completion", "choices": [secret]}

    with pytest.raises(AnswerBroken) as broken:
        _ = [one async for one in wrap(streamed, marked().guard)("你好")]
    assert (secret in str(broken.value), broken.value.code) == (False, "500")
    with pytest.raises(AnswerBroken) as broken:
        wrap(whole, marked().guard)("你好")
    assert (secret in str(broken.value), broken.value.code) == (False, "upstream_unreadable")


def test_what_no_judge_read_is_not_in_the_answer() -> None:
    """Log probabilities and annotations repeat or add text: they are left out."""
    inner = {"message": {"annotations": [{"type": "url", "title": ADVERT}]}}
    reply = ok("好", choice={"logprobs": {"content": [{"token": ADVERT}]}}, **inner)
    with OpenAIServer(reply) as server:
        answer = client(server).chat.completions.create(model="m", messages=ASK)
    assert ADVERT not in answer.model_dump_json()
    assert answer.choices[0].message.content == "好"


def test_extra_keys_of_a_request_are_judged_too(server: OpenAIServer) -> None:
    """Whatever goes to the model in `extra_body`, tools or formats."""
    create = client(server).chat.completions.create
    tools = [{"type": "function", "function": {"name": "f", "description": ADVERT}}]
    for more in ({"extra_body": {"system": ADVERT}}, {"tools": tools}):
        answer = create(model="m", messages=say("好"), **more)
        assert answer.choices[0].message.content == SORRY
    assert not server.requests


@pytest.mark.filterwarnings("ignore:.*acompletion' was never awaited:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning")  # of litellm's own types
def test_litellm_is_guarded(server: OpenAIServer) -> None:
    """The module, its functions and a router; whole and streamed, in either kind of code."""
    import litellm

    ask = {"model": "openai/m", "api_base": server.base_url, "api_key": "k", "max_retries": 0}
    guarded = wrap(litellm, marked().guard)
    for text, said in (("好", "好"), (BAD, SORRY), (ADVERT, SORRY)):
        whole = guarded.completion(messages=say(text), **ask)
        assert isinstance(whole, litellm.ModelResponse)
        assert whole.choices[0].message.content == said
        later = asyncio.run(wrap(litellm, marked().guard).acompletion(messages=say(text), **ask))
        assert later.choices[0].message.content == said
        chunks = list(guarded.completion(messages=say(text), stream=True, **ask))
        assert joined(chunks)[0] == said
    assert not hasattr(guarded, "responses")
    assert not hasattr(guarded, "text_completion")
    assert guarded.drop_params == litellm.drop_params
    assert guarded.RateLimitError is litellm.RateLimitError
    assert json.dumps(server.requests).count(ADVERT) == 0


@pytest.mark.filterwarnings("ignore:.*acompletion' was never awaited:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning")  # of litellm's own types
async def test_a_router_s_method_is_guarded_by_itself() -> None:
    """It does not say what it gives."""
    import litellm

    given = {"model": "openai/m", "api_key": "k"}
    router = litellm.Router(model_list=[{"model_name": "m", "litellm_params": given}])
    guarded = wrap(router.acompletion, marked().guard)
    assert (await guarded("m", BLOCKED)).choices[0].message.content == SORRY  # in its language
    stream = await guarded("m", BLOCKED, stream=True)
    assert joined([chunk async for chunk in stream]) == (SORRY, ["content_filter"])


async def test_a_router_of_litellm_s_is_guarded(server: OpenAIServer) -> None:
    """Whole and streamed, in either kind of code; its way in by OpenAI's names is refused."""
    import litellm

    about = {"model": "openai/m", "api_base": server.base_url, "api_key": "k", "max_retries": 0}
    router = litellm.Router(model_list=[{"model_name": "m", "litellm_params": about}])
    guarded = wrap(router, marked().guard)
    for text, said in (("好", "好"), (BAD, SORRY), (ADVERT, SORRY)):
        ask: dict[str, Any] = {"model": "m", "messages": say(text)}
        whole = await asyncio.to_thread(guarded.completion, **ask)
        assert isinstance(whole, litellm.ModelResponse)
        later = await wrap(router, marked().guard).acompletion(**ask)
        assert [one.choices[0].message.content for one in (whole, later)] == [said, said]
        chunks = await asyncio.to_thread(lambda: list(guarded.completion(stream=True, **ask)))  # noqa: B023
        assert joined(chunks)[0] == said
        streamed = await wrap(router, marked().guard).acompletion(stream=True, **ask)
        assert joined([chunk async for chunk in streamed])[0] == said
    for part in ("chat", "text_completion", "responses", "aresponses"):
        with pytest.raises(InputError, match=f"`{part}` has no guard.*completion"):
            getattr(guarded, part)
    assert guarded.num_retries == router.num_retries
    assert json.dumps(server.requests).count(ADVERT) == 0
