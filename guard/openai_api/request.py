"""A chat completion request -> what to judge, and what to forward. Pure.

Every string of what is forwarded is in `parts` or in `context`, or is a name (`shapes.Name`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from guard.openai_api.errors import ApiError
from guard.openai_api.found import OMIT, Found
from guard.openai_api.parts import Dropped, TextPart, UnknownKeys, Unread
from guard.openai_api.request_keys import MESSAGE, REQUEST, ROLES
from guard.openai_api.shapes import Obj
from judge.records import Turn

_TURN_ROLES: Final[Mapping[str, Literal["system", "user", "assistant"]]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "tool": "user",
    "function": "user",
    "assistant": "assistant",
}
MOST_CHOICES: Final = 128
_OPERATOR = frozenset({"system", "developer"})
_AROUND = Obj({key: rule for key, rule in REQUEST.keys.items() if key != "messages"})


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request taken apart.

    Attributes:
        forward: the body for the upstream, rebuilt from known keys.
        parts: the texts to judge: the newest turns, all system and developer turns, and what stands
            outside the messages (tools, schemas, stop words, ...).
        context: every text of the earlier turns. The caller sends them, so that nothing says that a
            model ever answered so: rules that cost little are run over them as well.
        unread: what the model will see and nothing here can read, in any turn.
        dropped: what is not forwarded.
        prompt: what the newest user turn asks, for judging the answer; "" when it holds no text.
        history: the turns before that, and all turns in their order where others stand behind it (a
            tool's result, an instruction, a begun answer), as a judge knows them: developers speak
            as the system, tools as the user.
        together: what is read one behind the other, in rows: the operators' turns, the other turns
            that came at once, the descriptions of tools.
    """

    forward: dict[str, Any]
    parts: tuple[TextPart, ...]
    context: tuple[TextPart, ...]
    unread: tuple[Unread, ...]
    dropped: tuple[Dropped, ...]
    prompt: str
    history: tuple[Turn, ...]
    together: tuple[tuple[str, ...], ...]

    @property
    def model(self) -> str:
        """The model asked for; "" when the request names none."""
        return str(self.forward.get("model") or "")

    @property
    def stream(self) -> bool:
        """Whether the answer is to come as a stream of chunks."""
        return bool(self.forward.get("stream"))

    @property
    def n(self) -> int:
        """How many answers are asked for; no server gives more than `MOST_CHOICES`."""
        return max(1, min(int(self.forward.get("n") or 1), MOST_CHOICES))

    @property
    def include_usage(self) -> bool:
        """Whether the stream is to end with a chunk that holds the usage."""
        return bool((self.forward.get("stream_options") or {}).get("include_usage"))


def read_request(value: dict[str, Any], unknown: UnknownKeys = "drop") -> ChatRequest:
    """Take a request's body apart.

    Args:
        value: the parsed body; it is not changed.
        unknown: what happens to keys that the tables don't know.

    Raises:
        ApiError: 400; `messages` is not a list of messages with a known role, or something is
            unknown and `unknown` is "block".
    """
    messages = _messages(value)
    around = Found(unknown)
    forward = _AROUND.read({k: v for k, v in value.items() if k != "messages"}, "", around)
    if not isinstance(forward, dict):
        raise ApiError("the body must be a JSON object")
    rebuilt: list[Any] = []
    found: list[Found] = []
    for place, message in enumerate(messages):
        one = Found(unknown, role=message["role"])
        rebuilt.append(_message(message, f"messages[{place}]", one))
        found.append(one)
    roles = [message["role"] for message in messages]
    newest = _newest_turn(roles)
    judged = [p >= newest or role in _OPERATOR for p, role in enumerate(roles)]
    parts = [part for one, now in zip(found, judged, strict=True) if now for part in one.parts]
    asked = max((place for place, role in enumerate(roles) if role == "user"), default=None)
    told = asked if asked == len(roles) - 1 else len(roles)
    return ChatRequest(
        forward={"messages": rebuilt, **forward},
        parts=(*parts, *around.parts),
        context=tuple(
            p for one, now in zip(found, judged, strict=True) if not now for p in one.parts
        ),
        unread=tuple(item for one in (*found, around) for item in one.unread),
        dropped=tuple(item for one in (*found, around) for item in one.dropped),
        prompt="" if asked is None else _text(rebuilt[asked]),
        history=tuple(
            Turn.model_construct(role=_TURN_ROLES[roles[place]], content=text)
            for place in range(told)
            if (text := _text(rebuilt[place]))
        ),
        together=_together(roles, newest, found, around),
    )


def check_types(request: ChatRequest) -> None:
    """Refuse what the protocol has no such value for: left out, it would be answered otherwise.

    Raises:
        ApiError: 400; names the first such key, or `n` where it is more than `MOST_CHOICES`.
    """
    if (request.forward.get("n") or 0) > MOST_CHOICES:  # more would be asked for than are passed on
        raise ApiError(f"n is more than {MOST_CHOICES}", param="n")
    for one in request.dropped:
        if one.reason == "wrong_type":
            raise ApiError(f"{one.path} has a wrong type", code="invalid_type", param=one.path)


def _messages(value: object) -> list[dict[str, Any]]:
    messages = value.get("messages") if isinstance(value, dict) else None
    if not isinstance(messages, list) or not messages:
        raise ApiError("messages must be a list of messages", param="messages")
    for place, message in enumerate(messages):
        at = f"messages[{place}]"
        role = message.get("role") if isinstance(message, dict) else None
        if not isinstance(role, str) or role not in ROLES:
            raise ApiError(
                f"the role must be one of {', '.join(sorted(ROLES))}", param=f"{at}.role"
            )
        if not isinstance(message.get("content"), str | list | None):
            raise ApiError("the content must be a string or a list", param=f"{at}.content")
    return messages


def _message(message: dict[str, Any], path: str, found: Found) -> Any:
    rebuilt = MESSAGE.read(message, path, found)
    found.join(f"{path}.content")
    return rebuilt if rebuilt is not OMIT else {}


def _newest_turn(roles: Sequence[str]) -> int:
    """Where the newest turns begin: after the last assistant message that something follows.

    An assistant message at the end is the caller's own: the beginning of the answer that it wants.
    """
    end = len(roles)
    while end and roles[end - 1] == "assistant":
        end -= 1
    return max((p + 1 for p in range(end) if roles[p] == "assistant"), default=0)


def _together(
    roles: Sequence[str], newest: int, found: Sequence[Found], around: Found
) -> tuple[tuple[str, ...], ...]:
    operators: list[str] = []
    runs: defaultdict[int, list[str]] = defaultdict(list)  # by the answers before them
    answers = 0
    for place, (role, one) in enumerate(zip(roles, found, strict=True)):
        said = "".join([part.text for part in one.parts if part.kind == "content"])
        if role in _OPERATOR:
            operators.append(said)
        elif role == "assistant" and place < newest:
            answers += bool(one.parts)  # an empty one parts nothing
        else:
            runs[answers].append(said)
    tools = [part.text for part in around.parts if part.kind == "tool_description"]
    return tuple(tuple(row) for row in (operators, *runs.values(), tools) if len(row) > 1)


def _text(message: dict[str, Any]) -> str:
    """What a message says; a refusal stands beside its content, or among its parts."""
    content = message.get("content")
    content = message.get("refusal") if content is None else content
    if isinstance(content, str):
        return content
    texts = [
        part.get("text", part.get("refusal")) if isinstance(part, dict) else part
        for part in content or ()
    ]
    return "\n".join(text for text in texts if isinstance(text, str))
