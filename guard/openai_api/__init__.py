"""OpenAI's chat completions and moderations as texts to judge and bodies to forward. Pure.

    bytes -> parse_object -> read_request -> parts to judge, a body to forward
    bytes -> parse_object -> read_completion -> parts to judge -> `blocked` or the body to forward
    bytes -> SseParser -> parse_object -> read_chunk -> events to judge -> FrameWriter -> bytes

Whatever is forwarded was rebuilt here from known keys, so that no text passes that was not
reported. What can't be read raises `ApiError`; an unreadable event stream gives an `SseError`.
"""

from guard.openai_api.chunks import (
    Chunk,
    Finish,
    RoleDelta,
    StreamEvent,
    TextDelta,
    ToolStart,
    UsageEvent,
    is_chunk,
    read_chunk,
)
from guard.openai_api.completion import (
    NO_TOKENS,
    Completion,
    CompletionChoice,
    blocked,
    is_completion,
    read_completion,
    said,
)
from guard.openai_api.envelope import Envelope, added_usage
from guard.openai_api.errors import (
    ApiError,
    UpstreamError,
    guard_unavailable,
    input_blocked,
    read_error,
    upstream_unreadable,
)
from guard.openai_api.frames import Frame, FrameWriter, ends_choice, said_frames
from guard.openai_api.identifiers import is_count, is_nobodys
from guard.openai_api.json_paths import JsonPath, bounded, strings_of
from guard.openai_api.moderation import (
    Category,
    ModerationInput,
    ModerationResult,
    moderation_body,
    read_moderation,
)
from guard.openai_api.parts import (
    ARGUMENTS,
    NAMES,
    THINKING,
    Channel,
    Dropped,
    TextPart,
    UnknownKeys,
    Unread,
    unread_keys,
)
from guard.openai_api.request import MOST_CHOICES, ChatRequest, check_types, read_request
from guard.openai_api.sse import (
    DONE,
    DONE_FRAME,
    KEEP_ALIVE,
    SseError,
    SseEvent,
    SseParser,
    encode_event,
    encode_frames,
    encode_json,
)
from guard.openai_api.strict_json import (
    check_headers,
    is_json,
    is_json_type,
    parse_object,
    parse_value,
    serialised,
)

__all__ = [
    "ARGUMENTS",
    "DONE",
    "DONE_FRAME",
    "KEEP_ALIVE",
    "MOST_CHOICES",
    "NAMES",
    "NO_TOKENS",
    "THINKING",
    "ApiError",
    "Category",
    "Channel",
    "ChatRequest",
    "Chunk",
    "Completion",
    "CompletionChoice",
    "Dropped",
    "Envelope",
    "Finish",
    "Frame",
    "FrameWriter",
    "JsonPath",
    "ModerationInput",
    "ModerationResult",
    "RoleDelta",
    "SseError",
    "SseEvent",
    "SseParser",
    "StreamEvent",
    "TextDelta",
    "TextPart",
    "ToolStart",
    "UnknownKeys",
    "Unread",
    "UpstreamError",
    "UsageEvent",
    "added_usage",
    "blocked",
    "bounded",
    "check_headers",
    "check_types",
    "encode_event",
    "encode_frames",
    "encode_json",
    "ends_choice",
    "guard_unavailable",
    "input_blocked",
    "is_chunk",
    "is_completion",
    "is_count",
    "is_json",
    "is_json_type",
    "is_nobodys",
    "moderation_body",
    "parse_object",
    "parse_value",
    "read_chunk",
    "read_completion",
    "read_error",
    "read_moderation",
    "read_request",
    "said",
    "said_frames",
    "serialised",
    "strings_of",
    "unread_keys",
    "upstream_unreadable",
]
