"""Streamed answers: what may be released so far, and one answer's way through the guard."""

from guard.stream.session import AHEAD, Release, Step, StreamSession, settled
from guard.stream.windows import Look, Windows

__all__ = ["AHEAD", "Look", "Release", "Step", "StreamSession", "Windows", "settled"]
