"""The judges by name, and the one grammar for naming them.

    embedded | llm:NAME | panel:SPEC+SPEC+... | cascade:CHEAP>STRONG

A backend is imported when it is asked for. Packages outside add theirs by an entry point of the
group `flames_judge.judges`: a function (argument, JudgeContext) -> Judge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Literal

from judge.backends.llm_options import LlmOptions
from judge.errors import InputError
from judge.llm.config import ModelConfig
from judge.protocols import AnswerStore, Judge

if TYPE_CHECKING:
    from judge.llm.client import Traffic

Builder = Callable[[str, "JudgeContext"], Judge]
SPECS = "embedded, llm:NAME, panel:SPEC+SPEC or cascade:CHEAP>STRONG"


@dataclass(frozen=True)
class JudgeContext:
    """What judges are built with.

    Args:
        model: makes the configuration of a model from litellm's name for it.
        options: how LLMs judge.
        traffic: the limits that all models of the run share.
        store: keeps paid-for answers.
        vote: how panels decide.
        band: a cascade's doubt band.
    """

    model: Callable[[str], ModelConfig] = lambda name: ModelConfig(model=name)
    options: LlmOptions = field(default_factory=LlmOptions)
    traffic: Traffic | None = None
    store: AnswerStore | None = None
    vote: Literal["majority", "mean"] = "majority"
    band: tuple[float, float] = (0.2, 0.8)


def load_judge(spec: str, context: JudgeContext, fallbacks: Sequence[str] = ()) -> Judge:
    """The judge that a spec names, with fallbacks (specs, or model names) behind it.

    Raises:
        InputError: the spec names no judge.
        JudgeUnavailable: a key is missing or a model unknown.
    """
    kind, _, argument = spec.partition(":")
    builder = _builder(kind)
    if builder is None:
        raise InputError(f"{spec!r} names no judge", file="--judge", mend=f"write {SPECS}")
    judge = builder(argument, context)
    if not fallbacks:
        return judge
    from judge.backends.fallback import FallbackJudge

    return FallbackJudge(judge, [load_judge(_as_spec(name), context) for name in fallbacks])


def is_spec(text: str) -> bool:
    """Whether a judge of this kind is known here; its argument may still be wrong."""
    return _builder(text.partition(":")[0]) is not None


def _as_spec(name: str) -> str:
    return name if _builder(name.partition(":")[0]) is not None else f"llm:{name}"


def _builder(kind: str) -> Builder | None:
    if kind in _BUILDERS:
        return _BUILDERS[kind]
    for point in entry_points(group="flames_judge.judges", name=kind):
        outside: Builder = point.load()
        return outside
    return None


def _embedded(argument: str, context: JudgeContext) -> Judge:  # noqa: ARG001
    if argument:
        raise InputError("embedded takes no argument", file="--judge", mend="write embedded")
    from judge.backends.embedded import EmbeddedJudge

    return EmbeddedJudge()


def _llm(argument: str, context: JudgeContext) -> Judge:
    if not argument:
        raise InputError("llm: needs a model", file="--judge", mend="write llm:PROVIDER/MODEL")
    from judge.backends.llm import LlmJudge
    from judge.llm.client import ChatClient, Traffic

    traffic = context.traffic or Traffic()
    client = ChatClient(context.model(argument), traffic)
    return LlmJudge(
        client, context.options, store=context.store, notify=traffic.notify, clock=traffic.clock
    )


def _panel(argument: str, context: JudgeContext) -> Judge:
    from judge.backends.panel import PanelJudge

    specs = [spec for spec in argument.split("+") if spec]
    if len(specs) < 2:
        raise InputError(
            "a panel needs two judges or more", file="--judge", mend="write panel:SPEC+SPEC"
        )
    return PanelJudge([load_judge(_as_spec(spec), context) for spec in specs], context.vote)


def _cascade(argument: str, context: JudgeContext) -> Judge:
    from judge.backends.panel import CascadeJudge

    cheap, _, strong = argument.partition(">")
    if not (cheap and strong):
        raise InputError(
            "a cascade needs two judges", file="--judge", mend="write cascade:CHEAP>STRONG"
        )
    return CascadeJudge(
        load_judge(_as_spec(cheap), context), load_judge(_as_spec(strong), context), context.band
    )


_BUILDERS: dict[str, Builder] = {
    "embedded": _embedded,
    "llm": _llm,
    "panel": _panel,
    "cascade": _cascade,
}
