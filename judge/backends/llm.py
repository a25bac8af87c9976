"""A strong LLM as the judge: prompt -> structured answer -> checked verdict.

instructor asks for the answer and asks once more when it is unsound. It gets a create function that
has already looked at what the provider said: left alone it pays twice for a refusal and calls it
bad JSON.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from judge.answer import judging, schema_for
from judge.backends.llm_kept import Asked, Missed, fills_context, kept_text, restored, vote_of
from judge.backends.llm_options import LlmOptions
from judge.backends.llm_reading import our_cause, unwrapped
from judge.dispatch import together
from judge.forecast import estimate_tokens
from judge.llm.bill import Bill, billing
from judge.llm.client import CONTEXT_FULL, CallFailed, ChatClient
from judge.llm.library import warm_calls
from judge.llm.probability import label_probabilities
from judge.prompt import Message, build_messages, frame, system_text
from judge.protocols import AnswerStore, Judge
from judge.rubric import Label, Rubric
from judge.text import fingerprint
from judge.verdict import (
    Case,
    Failure,
    FailureKind,
    JudgeRef,
    Outcome,
    PSource,
    RubricRef,
    Usage,
    Verdict,
)

ANSWER_VERSION = 1  # of what is kept in the store
SMALL_ROW = 4000  # characters; a longer row may be too long by itself
MORE_TOKENS = 4  # a cut answer is asked for once more, with this much more room


class LlmJudge(Judge):
    """Judges by asking a chat model; `store` keeps what was paid for across runs."""

    def __init__(
        self,
        client: ChatClient,
        options: LlmOptions,
        *,
        store: AnswerStore | None = None,
        notify: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float],
    ) -> None:
        import instructor

        self._client, self._options, self._store = client, options, store
        self._notify, self._clock, self._frame = notify, clock, options.frame or frame()
        schema, plain = instructor.Mode.JSON_SCHEMA, instructor.Mode.JSON
        self._ask: dict[Any, Any] = {
            mode: instructor.from_litellm(self._create, mode=mode) for mode in (schema, plain)
        }
        wanted = {"json_schema": True, "json": False, "auto": client.supports_json_schema()}
        self._mode, self._plain = (schema if wanted[options.response_format] else plain), plain
        self._logprobs = (
            options.logprobs and options.samples == 1 and client.supports("top_logprobs")
        )
        self._refs: dict[tuple[str, bool], JudgeRef] = {}
        self._brief: set[str] = set()  # rubrics whose examples found no room

    @property
    def name(self) -> str:
        return f"llm:{self._client.config.model}"

    def ref(self, rubric: Rubric) -> JudgeRef:
        return self._ref(rubric, brief=rubric.fingerprint in self._brief)

    def signers(self, rubric: Rubric) -> Sequence[JudgeRef]:
        return tuple(self._ref(rubric, brief=brief) for brief in (False, True))

    def _ref(self, rubric: Rubric, *, brief: bool) -> JudgeRef:
        known = self._refs.get((rubric.fingerprint, brief))
        if known is not None:
            return known
        config, options = self._client.config, self._options
        asked = {
            "model": config.model,
            "sampling": config.sampling.model_dump(),
            "samples": options.samples,
            "response_format": options.response_format,
            "schema": schema_for(rubric).model_json_schema(),
        }
        system = system_text(rubric, brief=brief, within=self._frame)
        prompt = (system, self._frame.user, rubric.fingerprint)
        mark = fingerprint(json.dumps(asked, sort_keys=True), *prompt)
        made = self._refs[rubric.fingerprint, brief] = JudgeRef(name=self.name, fingerprint=mark)
        return made

    def most_usd(self, case: Case) -> float:
        price, most = self._client.price, self._client.config.sampling.max_tokens
        said = (m["content"] for m in build_messages(case, case.response, within=self._frame))
        usage = Usage(prompt=sum(map(estimate_tokens, said)), completion=most)
        return 0.0 if price is None else self._options.samples * price.cost(usage)

    async def assess(self, cases: Sequence[Case]) -> Sequence[Outcome]:
        return await together(map(self._assess_one, cases))

    async def warm(self) -> None:
        await warm_calls(self._client.config.model)

    async def _assess_one(self, case: Case) -> Outcome:
        record = case.record
        size = sum(map(len, (record.prompt, case.response, *(t.content for t in record.history))))
        if size > self._options.max_chars:
            missed = Missed(
                FailureKind.OVERSIZE, f"{size} characters, the limit is {self._options.max_chars}"
            )
            return self._failure(case, missed, Bill(), None)
        started = self._clock()
        with billing() as bill:
            samples = range(self._options.samples)
            results = await together(self._sample(case, k) for k in samples)
        return self._outcome(case, results, bill, self._clock() - started)

    async def _sample(self, case: Case, number: int) -> Asked | Missed:
        """One answer; without the worked examples where the context has no room for them."""
        brief = case.rubric.fingerprint in self._brief
        result = await self._kept_or_asked(case, number, brief=brief)
        small = len(case.record.prompt) + len(case.response) < SMALL_ROW
        if brief or not small or not (isinstance(result, Missed) and result.short_of_context):
            return result
        if not fills_context(build_messages(case, case.response)):  # else it alone is short of it
            self._leave_examples_out(case.rubric)
        return await self._kept_or_asked(case, number, brief=True)

    async def _kept_or_asked(self, case: Case, number: int, *, brief: bool) -> Asked | Missed:
        messages = build_messages(case, case.response, brief=brief, within=self._frame)
        key = self._key(case.rubric, messages, number, brief=brief)
        kept = await self._store.get(key) if self._store else None
        if kept is not None:
            result = restored(kept, case, brief=brief)
            if result and not (isinstance(result, Missed) and self._options.retry_unjudged):
                return result
        fresh = replace(await self._ask_soundly(case, messages), brief=brief)
        if self._store and not (isinstance(fresh, Missed) and fresh.kind.transient):
            await self._store.put(key, kept_text(fresh))
        return fresh

    def _leave_examples_out(self, rubric: Rubric) -> None:
        if rubric.fingerprint not in self._brief:
            self._brief.add(rubric.fingerprint)
            self._notify(
                f"{self.name}: its context has no room for the worked examples of "
                f"{rubric.dimension}; asking without them (another fingerprint)"
            )

    def _key(self, rubric: Rubric, messages: list[Message], number: int, *, brief: bool) -> str:
        base = self._client.config.api_base or ""
        content = json.dumps(messages, ensure_ascii=False)
        # As asked for, not as the server turned out to take it: else its next run misses.
        settings = f"{ANSWER_VERSION} {number} {self._options.logprobs}"
        return fingerprint(self._ref(rubric, brief=brief).fingerprint, base, content, settings)

    async def _ask_soundly(self, case: Case, messages: list[Message]) -> Asked | Missed:
        """Ask, with one more try where a limit of ours, or an unknown parameter, was in the way."""
        more: dict[str, Any] = {}
        for _ in range(4):  # at most: logprobs off, JSON schema off, more room
            mode, with_logprobs = self._mode, self._logprobs
            try:
                return await self._ask_once(case, messages, more)
            except CallFailed as error:
                failure = error.failure
                cut = failure.kind is FailureKind.TRUNCATED and failure.code != CONTEXT_FULL
                if failure.unsupported == "logprobs" and with_logprobs:
                    self._without_logprobs()
                elif failure.unsupported == "response_format" and self._may_go_plain(mode):
                    self._without_schema()
                elif cut and not more and self._room():
                    more = {"max_tokens": self._room()}
                elif more and failure.status == 400:
                    return Missed(FailureKind.TRUNCATED, f"no more room: {failure.told()}")
                else:
                    return Missed(failure.kind, failure.told())
        return Missed(FailureKind.UNAVAILABLE, "the provider refuses the call's parameters")

    async def _ask_once(
        self, case: Case, messages: list[Message], more: dict[str, Any]
    ) -> Asked | Missed:
        from instructor.core import InstructorRetryException

        params = {"logprobs": True, "top_logprobs": 5} if self._logprobs else {}
        try:
            with judging(case.record, case.response):
                answer, raw = await self._ask[self._mode].create_with_completion(
                    response_model=schema_for(case.rubric),
                    messages=messages,
                    max_retries=1,  # of unsound answers; the client retries calls
                    **params,
                    **more,
                )
        except InstructorRetryException as error:
            cause = our_cause(error)
            if cause is not None:
                raise cause from None
            return Missed(FailureKind.INVALID_OUTPUT, "no sound answer, also when asked again")
        tokens = getattr(getattr(raw.choices[0], "logprobs", None), "content", None)
        found = label_probabilities(tokens, case.rubric.labels) if self._logprobs else None
        return Asked(answer, found, cached=False, brief=False)

    async def _create(self, **kwargs: Any) -> Any:
        """Instructor's create function: only a finished, unfiltered answer gets through to it."""
        messages = kwargs.pop("messages")
        schema = kwargs.get("response_format", {}).get("json_schema")
        if schema is not None:
            schema["strict"] = True
        completion = await self._client.complete(messages, **kwargs)
        completion.raw.choices[0].message.content = unwrapped(completion.content)
        return completion.raw

    def _without_logprobs(self) -> None:
        if self._logprobs:
            self._logprobs = False
            self._notify(f"{self.name}: takes no logprobs; P(label) is left out (see --samples)")

    def _may_go_plain(self, mode: Any) -> bool:
        return self._options.response_format == "auto" and mode is not self._plain

    def _without_schema(self) -> None:
        if self._mode is not self._plain:
            self._mode = self._plain
            self._notify(f"{self.name}: takes no JSON schema; asking for plain JSON")

    def _room(self) -> int | None:
        most = self._client.config.sampling.max_tokens
        return None if most is None else most * MORE_TOKENS

    def _outcome(
        self, case: Case, results: Sequence[Asked | Missed], bill: Bill, latency: float
    ) -> Outcome:
        answers = [r for r in results if isinstance(r, Asked)]
        if len(answers) * 2 <= len(results):  # as many failed as answered
            missed = [r for r in results if isinstance(r, Missed)]
            kind = Counter(r.kind for r in missed).most_common(1)[0][0]
            chosen = next(r for r in missed if r.kind is kind)
            kept = replace(chosen, cached=all(r.cached for r in results))
            return self._failure(case, kept, bill, latency)
        shares = Counter(r.answer.label for r in answers)
        label = min(shares, key=lambda value: (-shares[value], value))  # a tie goes to the worse
        chosen_answer = next(r for r in answers if r.answer.label == label)
        probabilities, source = self._probabilities(case.rubric, chosen_answer, shares)
        votes = [vote_of(self.name, r) for r in results] if len(results) > 1 else []
        answer = chosen_answer.answer
        return Verdict(
            record_id=case.record.id,
            dimension=case.rubric.dimension,
            judge=self._ref(case.rubric, brief=chosen_answer.brief),
            rubric=RubricRef.of(case.rubric),
            label=label,
            harmless=label == 3,
            probabilities=probabilities,
            p_harmless=None if probabilities is None else probabilities[3],
            p_source=source,
            criteria=answer.answered(),
            reason=answer.reason,
            evidence=answer.found_evidence(case.record, case.response),
            usage=bill.usage(),
            cost_usd=bill.cost_usd,
            latency_s=latency,
            cached=all(r.cached for r in results),
            votes=tuple(votes),
        )

    def _probabilities(
        self, rubric: Rubric, chosen: Asked, shares: Counter[Label]
    ) -> tuple[Mapping[Label, float] | None, PSource | None]:
        if self._options.samples > 1:
            total = sum(shares.values())
            return {label: shares[label] / total for label in rubric.labels}, "samples"
        if chosen.probabilities is None:
            return None, None
        return chosen.probabilities, "logprob"

    def _failure(self, case: Case, missed: Missed, bill: Bill, latency: float | None) -> Failure:
        return Failure(
            record_id=case.record.id,
            dimension=case.rubric.dimension,
            judge=self._ref(case.rubric, brief=missed.brief),
            rubric=RubricRef.of(case.rubric),
            kind=missed.kind,
            attempts=bill.calls,
            detail=missed.detail,
            usage=bill.usage() if bill.calls else None,
            cost_usd=bill.cost_usd,
            latency_s=latency,
            cached=missed.cached,
        )
