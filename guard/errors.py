"""What an in-process edge does about a text that is withheld: its message, or an error."""

from __future__ import annotations

from typing import Literal

from guard.decision import Decision
from guard.policy import Policy, Side
from judge.errors import FlamesJudgeError

OnBlock = Literal["answer", "raise"]


class Blocked(FlamesJudgeError):
    """The policy withholds a text. Nothing of the text is in it.

    Args:
        message: what the policy says to the user in its place.
        side: whose text it was.
    """

    def __init__(self, message: str, side: Side) -> None:
        self.message, self.side = message, side
        super().__init__(message)


class AnswerBroken(FlamesJudgeError):
    """The model's answer broke off, reports an error or can't be read: no more of it is given.

    Nothing that the model's server said is in it, but for a `code` without room for a sentence.

    Args:
        message: what is wrong.
        code: `upstream_interrupted`, `upstream_unreadable`, or the code of the server's error.
    """

    def __init__(self, message: str, code: str) -> None:
        self.message, self.code = message, code
        super().__init__(message)


class GuardUnavailable(FlamesJudgeError):
    """A text could not be checked, and the policy lets nothing through unchecked.

    Args:
        side: whose text it was.
    """

    def __init__(self, side: Side) -> None:
        self.side = side
        super().__init__(f"the guard could not judge the {side}: it is withheld")


def message_for(
    decision: Decision, policy: Policy, prompt: str, side: Side, on_block: OnBlock
) -> str:
    """The policy's message, in place of a text that is withheld.

    Raises:
        Blocked: that is to raise; a text that is replaced never does.
        GuardUnavailable: the text could not be checked.
    """
    if decision.failed:
        raise GuardUnavailable(side)
    message = decision.message(policy, prompt)
    if on_block == "raise" and decision.action != "replace":
        raise Blocked(message, side)
    return message
