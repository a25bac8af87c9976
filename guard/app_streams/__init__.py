"""Streams in an application's own form: events, lines of JSON, plain text. Bytes in, bytes out."""

from guard.app_streams.body import Body
from guard.app_streams.events import EventBody
from guard.app_streams.lines import LineBody
from guard.app_streams.plain import PlainBody
from guard.app_streams.readings import mark_of, stays
from guard.app_streams.setting import Form, Setting

__all__ = ["Body", "EventBody", "Form", "LineBody", "PlainBody", "Setting", "mark_of", "stays"]
