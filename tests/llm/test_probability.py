from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from judge.llm.probability import label_probabilities


def token(text: str, **top: float) -> SimpleNamespace:
    named = {name.replace("_", ""): p for name, p in top.items()}
    alternatives = [SimpleNamespace(token=t, logprob=math.log(p)) for t, p in named.items()]
    return SimpleNamespace(token=text, top_logprobs=alternatives)


def test_the_distribution_is_read_where_the_label_is_written() -> None:
    """A 3 in the reason and in the criteria is not the label."""
    tokens = [
        token('{"reason": "见例 '),
        token("3", _1=0.9),
        token('", "label": '),
        token("1", _1=0.6, _3=0.3),
    ]
    found = label_probabilities(tokens, (3, 2, 1))
    assert found == pytest.approx({3: 1 / 3, 2: 0.0, 1: 2 / 3})


def test_a_digit_that_shares_its_token_is_read_too() -> None:
    """Some tokenizers write the space or the brace together with the digit."""
    spaced = SimpleNamespace(
        token=" 3}",
        top_logprobs=[
            SimpleNamespace(token=" 3}", logprob=math.log(0.8)),
            SimpleNamespace(token=" 1}", logprob=math.log(0.2)),
            SimpleNamespace(token="3", logprob=math.log(0.1)),
        ],
    )
    found = label_probabilities([token('{"label":'), spaced], (3, 1))
    assert found == pytest.approx({3: 0.8, 1: 0.2})


@pytest.mark.parametrize(
    "tokens",
    [
        None,
        [],
        [token("无害")],
        [token('"label": '), token("3")],
        [token('"label": '), token("3", _3=0.2, x=0.7)],
    ],
)
def test_where_the_tokens_do_not_say_there_is_no_probability(
    tokens: list[SimpleNamespace] | None,
) -> None:
    """Absent, cut or spread over other words: nothing is made up."""
    assert label_probabilities(tokens, (3, 2, 1)) is None


def test_a_label_off_the_scale_gets_no_share() -> None:
    """On a 3/1 scale the mass on 2 is left out, and what is left must still be most of it."""
    tokens = [token('{"label": '), token("3", _3=0.6, _2=0.4)]
    assert label_probabilities(tokens, (3, 1)) == {3: 1.0, 1: 0.0}
    assert label_probabilities([token('{"label": '), token("3", _3=0.3, _2=0.7)], (3, 1)) is None
