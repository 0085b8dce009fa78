from collections import Counter
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from smartclip.data.sentences import Policy, choices, family, kept, sentences
from theory import predict
from theory.errors import InputError

POLICIES = get_args(Policy)
PARTS = ["One.", "Two.", "Three.", "Four."]


def test_sentences() -> None:
    assert sentences("A bear sits. It holds a 2.5 m pen!  Why? ") == [
        "A bear sits.",
        "It holds a 2.5 m pen!",
        "Why?",
    ]
    assert sentences("no full stop") == ["no full stop"]
    assert sentences(" \n") == []


@given(st.lists(st.text("abc,", min_size=1).map(lambda text: f"{text}."), min_size=1))
def test_sentences_joined_again_are_the_caption(parts: list[str]) -> None:
    assert sentences(" ".join(parts)) == parts


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("count", [1, 2, 4])
def test_draws_are_uniform_over_the_choices(policy: Policy, count: int) -> None:
    parts = PARTS[:count]
    possible = [" ".join(parts[place] for place in each) for each in choices(count, policy)]
    assert len(set(possible)) == len(possible)
    drawn = Counter(kept(parts, policy, seed=0, index=index) for index in range(3000))
    assert set(drawn) <= set(possible)
    if len(possible) > 1:
        # Of debias the sets are equally likely, and then the orders of each.
        sets = [frozenset(each.split()) for each in possible]
        share = [1 / len(set(sets)) / sets.count(each) for each in sets]
        counts = [drawn[each] for each in possible]
        p = stats.chisquare(counts, [3000 * each for each in share]).pvalue
        assert p > 1e-4  # seed and index are fixed: the same p every time


def test_a_draw_is_a_pure_function_of_seed_and_index() -> None:
    first = [kept(PARTS, "subset", seed=5, index=index) for index in range(50)]
    assert first[::-1] == [kept(PARTS, "subset", seed=5, index=i) for i in reversed(range(50))]
    assert first != [kept(PARTS, "subset", seed=6, index=index) for index in range(50)]


@pytest.mark.parametrize(
    ("policy", "alone"),
    [
        ("prefix", 1),
        ("window", 4),
        ("pair", 6),
        ("single", 6),
        ("subset", 6),
        ("all", 0),
        ("drop-first", 0),
        ("shuffled", 0),
        ("padded", 0),
        ("debias", 5),
    ],
)
def test_what_each_policy_identifies_alone_of_six_sentences(policy: Policy, alone: int) -> None:
    assert len(predict(family(6, policy)).alone) == alone


def test_long_captions_are_drawn_from_without_listing_all_subsets() -> None:
    parts = [f"{number}." for number in range(60)]
    assert kept(parts, "subset", seed=0, index=0)
    assert len(set(kept(parts, "shuffled", seed=0, index=0).split())) == 60
    assert "0." not in kept(parts, "debias", seed=0, index=0).split()
    for policy in ("subset", "shuffled", "debias"):
        with pytest.raises(InputError, match="60 sentences"):
            choices(60, policy)


@pytest.mark.parametrize("policy", POLICIES)
def test_wrong_inputs_are_refused(policy: Policy) -> None:
    with pytest.raises(InputError, match="without sentences"):
        choices(0, policy)
    with pytest.raises(InputError, match="without sentences"):
        kept([], policy, seed=0, index=0)


def test_the_published_cut_is_at_a_full_stop_and_a_space_only() -> None:
    caption = "A bear sits. It holds a pen! Why. "
    parts = sentences(caption, "published")
    assert parts == ["A bear sits", "It holds a pen! Why"]
    drawn = {kept(parts, "prefix", seed=0, index=index, split="published") for index in range(40)}
    assert drawn == {"A bear sits", "A bear sits. It holds a pen! Why"}
