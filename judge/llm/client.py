"""One chat model behind litellm: one call that is retried, priced, limited and looked at.

What a provider answers is inspected before anyone parses it, and
every failure leaves as `CallFailed` with its kind, or ends the run as `JudgeUnavailable`.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_base, wait_random_exponential

from judge.errors import JudgeUnavailable
from judge.forecast import estimate_tokens
from judge.llm.about import current_about
from judge.llm.bill import current_bill
from judge.llm.config import ModelConfig
from judge.llm.failures import ProviderFailure, classify, inspect
from judge.llm.given import spoken, usage_of
from judge.llm.library import drops_max_retries, load_litellm, missing_keys
from judge.llm.limits import AdaptiveConcurrency, FilterBreaker, Rates, Spend
from judge.llm.price import price_of
from judge.verdict import FailureKind, Usage

CONTEXT_FULL = "context_full"  # the code of a cut that its own limit does not explain
_ANSWERS = (FailureKind.JUDGE_REFUSAL, FailureKind.TRUNCATED)


class CallFailed(Exception):
    """A call that gave no usable answer, after its retries."""

    def __init__(self, failure: ProviderFailure, attempts: int = 1) -> None:
        super().__init__(f"{failure.kind}: {failure.code}")
        self.failure, self.attempts = failure, attempts


@dataclass(frozen=True)
class Completion:
    """A provider's answer. `raw` is litellm's response object; `cost_usd` null where unpriced."""

    raw: Any
    content: str
    finish_reason: str
    usage: Usage
    cost_usd: float | None
    attempts: int
    latency_s: float


@dataclass
class Traffic:
    """What all clients of a run share, and what comes in from outside."""

    spend: Spend = field(default_factory=Spend)
    concurrency: AdaptiveConcurrency = field(default_factory=AdaptiveConcurrency)
    rates: Rates = field(default_factory=Rates)
    notify: Callable[[str], None] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    backoff: wait_base = field(default_factory=lambda: wait_random_exponential(0.5, 30))


class ChatClient:
    """A chat model under its limits.

    Args:
        config: model, server, key, timeout, retries, sampling.
        traffic: the run's shared limits, spend and clock.
    """

    def __init__(self, config: ModelConfig, traffic: Traffic) -> None:
        self.config, self._traffic = config, traffic
        self._litellm = load_litellm()
        self._breaker = FilterBreaker(traffic.clock)
        self._answered = False
        self.price = price_of(config)
        if traffic.spend.budget_usd is not None and self.price is None:
            raise JudgeUnavailable(
                f"{config.model}: no price is known, so the budget can't be kept "
                "(give --price PROMPT,COMPLETION in USD for a million tokens)"
            )
        self._fixed = self._fixed_params()

    def supports(self, param: str) -> bool:
        """Whether litellm knows this model's provider to take an OpenAI parameter."""
        names = self._litellm.get_supported_openai_params(self.config.model) or ()
        return param in names

    def supports_json_schema(self) -> bool:
        """JSON schema by litellm's map; one's own server (vLLM, llama.cpp, SGLang) has it too."""
        if self.config.api_base is not None:
            return True
        return bool(self._litellm.supports_response_schema(self.config.model))

    async def complete(
        self, messages: Sequence[dict[str, Any]], *, judging: bool = True, **params: Any
    ) -> Completion:
        """One answer, retried where that can help.

        Args:
            messages: OpenAI messages.
            judging: a refusal or a cut is a failure; from a tested model it is an answer.
            params: parameters on top of the configured sampling; they win over it.

        Raises:
            CallFailed: no usable answer; the failure says of which kind.
            JudgeUnavailable: no further call could succeed (key, model, server).
            BudgetReached: the budget leaves no room for the call.
        """
        attempts = 0
        call = {**self._fixed, **params, "messages": list(messages)}
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self.config.retries + 1),
            wait=self._wait,
            retry=retry_if_exception(lambda e: isinstance(e, CallFailed) and e.failure.retry),
            reraise=True,
        )
        try:
            async for attempt in retrying:
                with attempt:
                    attempts += 1
                    return await self._once(call, attempts, judging)
        except CallFailed as error:
            error.attempts = attempts
            self._raise_if_fatal(error.failure)
            raise
        raise AssertionError("tenacity either returns or raises")

    async def _once(self, call: dict[str, Any], attempt: int, judging: bool) -> Completion:
        traffic = self._traffic
        expected = self._expected(call)
        async with traffic.concurrency.slot() as number, traffic.spend.call(expected):
            await traffic.rates.wait(_size(call["messages"]))
            if not self._breaker.allows(current_about()):  # now, and not before the waits
                raise CallFailed(_PAUSED)
            started, bill = traffic.clock(), current_bill()
            answered: list[Mapping[str, Any]] = []
            if bill is not None:
                bill.sent()
            try:
                async with asyncio.timeout(self.config.timeout_s):
                    raw = await self._litellm.acompletion(**call, logger_fn=answered.append)
            except Exception as error:  # noqa: BLE001 - litellm raises whatever its parts raise
                failure = classify(error, now=traffic.now(), raw=_body(answered))
                if bill is not None and failure.kind is not FailureKind.TIMEOUT:
                    bill.ended()
                failure = self._judged(failure, answered=False)
                if failure.kind is FailureKind.RATE_LIMITED:
                    traffic.concurrency.rate_limited(number)
                raise CallFailed(failure) from None
            latency = traffic.clock() - started
            usage, cost = self._paid(raw, expected)
        problem = inspect(raw)
        if problem is not None and (judging or problem.kind not in _ANSWERS):
            problem = _out_of_context(problem, usage, call)
            raise CallFailed(self._judged(problem, answered=True))
        self._breaker.record(current_about(), filtered=False)
        content = spoken(raw)
        finish = str(raw.choices[0].finish_reason or "")
        return Completion(raw, content, finish, usage, cost, attempt, latency)

    def _paid(self, raw: Any, expected: float | None) -> tuple[Usage, float | None]:
        """Book an answered call; for the budget, one without a usage costs what was expected."""
        usage = usage_of(raw)
        known = self.price is not None and usage.prompt is not None
        cost = self.price.cost(usage) if self.price and known else None
        counts = (usage.prompt or 0, usage.cached or 0, usage.completion or 0)
        self._traffic.spend.paid(cost if known else expected, *counts)
        bill = current_bill()
        if bill is not None:
            bill.ended()
            bill.add(usage, cost)
        self._traffic.concurrency.succeeded()
        self._answered = True
        return usage, cost

    def _judged(self, failure: ProviderFailure, *, answered: bool) -> ProviderFailure:
        """Count a failure for the breaker, and give up on what can't pass."""
        filtered = failure.kind.filtered or (False if answered else None)
        if self._breaker.record(current_about(), filtered=filtered):
            self._traffic.notify(
                f"{self.config.model}: paused for {self._breaker.pause_s:.0f} s: "
                f"{self._breaker.most} of its latest answers were stopped by the provider's "
                "content filter; going on may lock the account (see --fallback)"
            )
        if failure.unreachable and not self._answered:
            raise JudgeUnavailable(
                f"{self.config.model}: the server can't be reached{self._where()}"
            )
        patient = (failure.retry_after_s or 0.0) <= self.config.patience_s
        return failure if patient else replace(failure, retry=False)

    def _raise_if_fatal(self, failure: ProviderFailure) -> None:
        if not failure.fatal or (self._answered and failure.status in _PERHAPS_THIS_ROW):
            return
        why = _FATAL.get(failure.status or 0, "the provider refuses every call")
        said = f" ({failure.told()})" if failure.told() else ""
        raise JudgeUnavailable(f"{self.config.model}: {why}{self._where()}{said}")

    def _where(self) -> str:
        base = self.config.api_base
        return f" at {_SECRET_PARTS.sub('', base)}" if base else ""

    def _expected(self, call: dict[str, Any]) -> float | None:
        if self.price is None:
            return None
        expected = Usage(prompt=_size(call["messages"]), completion=200)
        return self.price.cost(expected)

    def _wait(self, state: RetryCallState) -> float:
        outcome = state.outcome
        error = outcome.exception() if outcome else None
        after = error.failure.retry_after_s if isinstance(error, CallFailed) else None
        return (after or 0.0) + self._traffic.backoff(state)  # or all would come back at once

    def _fixed_params(self) -> dict[str, Any]:
        config = self.config
        fixed: dict[str, Any] = {
            "model": config.model,
            **config.sampling.params(),
            "timeout": config.timeout_s,
            "drop_params": True,
            # tenacity alone retries; litellm has two counters of its own
            "num_retries": 0,
            "max_retries": 0,
        }
        if drops_max_retries(config.model):
            fixed["allowed_openai_params"] = ["max_retries"]  # or the SDK retries by itself
        if config.api_base is not None:
            fixed["api_base"] = config.api_base
        key = self._key()
        if key is not None:
            fixed["api_key"] = key
        return fixed

    def _key(self) -> str | None:
        name = self.config.api_key_env
        if name is not None:
            key = os.environ.get(name)
            if not key:
                told = f"has no {name}" if _VARIABLE.fullmatch(name) else "has no such variable"
                raise JudgeUnavailable(
                    f"{self.config.model}: the environment {told} (--api-key-env, or api_key_env "
                    "in a policy, takes the name of the variable that holds the key)"
                )
            return key
        missing = missing_keys(self.config.model)
        if self.config.api_base is not None:
            return "none" if missing else None  # one's own server seldom wants a key
        if missing:
            raise JudgeUnavailable(
                f"{self.config.model}: the environment has no {' or '.join(missing)}"
            )
        return None


# A URL may carry a name with a password, or a key as a parameter.
_SECRET_PARTS = re.compile(r"(?<=//)[^/@]*@|[?#].*", re.DOTALL)
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")  # anything else may be the key itself
_PAUSED = ProviderFailure(kind=FailureKind.UNAVAILABLE, retry=False, code="filter_breaker_open")
_FATAL = {
    401: "the key was refused",
    402: "the account has no credit",
    403: "the key may not use this model",
    404: "there is no such model, or no such path",
}
# A firewall may refuse one text so; once others were answered, key and model are known to be good.
_PERHAPS_THIS_ROW = (403, 404)


def _out_of_context(
    failure: ProviderFailure, usage: Usage, call: Mapping[str, Any]
) -> ProviderFailure:
    """An answer that was cut before its own limit met the end of the model's context."""
    most = call.get("max_tokens")
    early = most is not None and usage.completion is not None and usage.completion < most
    if failure.kind is FailureKind.TRUNCATED and early:
        return replace(failure, code=CONTEXT_FULL)
    return failure


def _body(answered: Sequence[Mapping[str, Any]]) -> str | None:
    """The body that came with status 200 and was no completion, as litellm logged it."""
    bodies = [details.get("original_response") for details in answered]
    return next((body for body in reversed(bodies) if isinstance(body, str)), None)


def _size(messages: Sequence[Mapping[str, Any]]) -> int:
    return sum(estimate_tokens(str(message.get("content") or "")) + 4 for message in messages)
