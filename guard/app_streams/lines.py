"""Lines of JSON."""

from __future__ import annotations

from typing import Any

from guard.app_streams.body import MOST_OF_A_LINE, WITHDRAWN, Sender, passed_on
from guard.app_streams.flow import Flow
from guard.app_streams.setting import Setting
from guard.decision import Decision
from guard.openai_api import ApiError, parse_value, serialised, upstream_unreadable


class LineBody:
    """One JSON value a line."""

    def __init__(self, setting: Setting) -> None:
        self._setting, self._flow = setting, Flow(setting)
        self._rest = bytearray()
        self._whole = False  # the application has ended its stream
        self.over = False

    @property
    def stopped(self) -> Decision | None:
        return self._flow.stopped

    @property
    def shown(self) -> bool:
        return self._flow.shown

    async def take(self, data: bytes, send: Sender | None = None) -> bytes:
        self._rest += data
        lines: list[bytes] = []
        if b"\n" in data:
            *lines, rest = bytes(self._rest).split(b"\n")
            self._rest = bytearray(rest)
        if len(self._rest) > MOST_OF_A_LINE:
            raise upstream_unreadable()
        out = b""
        for line in lines:
            out += await passed_on(await self._line(line), send)
            if self.over:
                break
        return out

    async def end(self) -> bytes:
        out = await self._line(bytes(self._rest)) if self._rest else b""
        if self.over:
            return out
        self._whole = True
        return out + self._flowed(await self._flow.end())

    def last_words(self) -> bytes:
        flow = self._flow
        if flow.stopped is None:
            return b""
        out = self._taken_back() + self._write(flow.last_words())
        if self._whole:
            return out + b"".join(flow.behind()).lstrip(b"\r\n")
        if self._setting.form.end:
            return out + self._setting.form.end.strip("\n").encode() + b"\n"
        last = flow.last_event()
        return out if last is None else out + self._write(last)

    def broken(self, error: ApiError) -> bytes | None:
        return self._taken_back() + serialised(error.body()) + b"\n"

    async def close(self, *, again: bool = False) -> Decision | None:
        return await self._flow.close(again=again)

    async def _line(self, line: bytes) -> bytes:
        if not line.strip():
            blank = self._blank(line)
            return self._flowed(await self._flow.take(blank, "", {})) if blank else b""
        try:
            value, out = self._read(line)
        except ApiError:
            raise upstream_unreadable() from None
        return self._flowed(await self._flow.take(out, value, {}))

    def _taken_back(self) -> bytes:
        """What withdraws all that is shown, where the mode retracts."""
        withdraws = self._setting.mode == "retract" and self._flow.shown
        return self._write(WITHDRAWN) if withdraws else b""

    def _blank(self, line: bytes) -> bytes:
        """What goes out for a line that says nothing."""
        del line
        return b""

    def _read(self, line: bytes) -> tuple[Any, bytes]:
        """What a line says, and the line that goes out for it."""
        value = parse_value(line, MOST_OF_A_LINE)
        return value, self._write(value)

    def _write(self, value: Any) -> bytes:
        return serialised(value) + b"\n"

    def _flowed(self, lines: list[bytes]) -> bytes:
        self.over = self._flow.stopped is not None
        return b"".join(lines)
