import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartclip.audit.captioned import Captioned, LeftOut
from smartclip.audit.findings import Findings, findings
from smartclip.audit.mentions import find_mentions
from smartclip.audit.vocabulary import Vocabulary
from smartclip.audit.words import read_words
from theory import CaptionFamily
from theory.samples import Counts

LETTERS = [f"w{letter}" for letter in "abcdefg"]


def audited(captions: Sequence[str | tuple[str, str]], names: Sequence[str] = LETTERS) -> Findings:
    pairs = [(None, one) if isinstance(one, str) else one for one in captions]
    words = read_words(Captioned(picture, text, ()) for picture, text in pairs)
    rows = find_mentions(words, Vocabulary.of({name: [name] for name in names}))
    return findings(words, rows, source="here", left_out=LeftOut())


def test_a_small_corpus_by_hand() -> None:
    texts = ["wa wb"] * 3 + ["wa wb wc"] + ["wb"] * 4 + ["wc wd we"] * 2 + ["nothing"]
    found = audited(texts)
    assert (found.captions, found.distinct, found.without_concepts) == (11, 5, 1)
    mentions = dict(zip(found.concepts, found.mentions.tolist(), strict=True))
    assert mentions == {"wa": 4, "wb": 8, "wc": 3, "wd": 2, "we": 2, "wf": 0, "wg": 0}
    alone = {name for name, one in zip(found.concepts, found.alone, strict=True) if one}
    assert alone == {"wb", "wc"}
    assert dict(zip(found.concepts, found.least_apart.tolist(), strict=True))["wb"] == 4
    assert found.atoms == [("wd", "we")]
    told = [(tie.counts.concept, tie.counts.other, tie.counts.mentions) for tie in found.never]
    assert told == [
        ("wa", "wb", 4),
        ("wd", "we", 2),
        ("we", "wd", 2),
        ("wd", "wc", 2),
        ("we", "wc", 2),
    ]
    assert found.never_count == 5
    first = found.never[0]
    assert first.high == pytest.approx(1 - 0.025 ** (1 / 4))
    # Of 7 * 6 ordered pairs at once, the bound of each is at a forty-second of 5 %.
    assert first.counts.high == pytest.approx(1 - (0.025 / 42) ** (1 / 4))
    assert first.pmi == pytest.approx(math.log2(11 * 4 / (4 * 8)))
    assert str(first) == "wa never without wb: 4 captions, upper bound 60 %"
    assert found.to_dict()["identified_alone"] == 2


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sets(st.sampled_from(LETTERS), min_size=1, max_size=5), min_size=1, max_size=12))
def test_ties_are_the_closures_of_the_theory(captions: list[set[str]]) -> None:
    found = audited([" ".join(sorted(caption)) for caption in captions])
    family = CaptionFamily([sorted(caption) for caption in captions])
    expected = {(k, j) for k in family.mentioned for j in family.closure(k) if j != k}
    assert {(tie.counts.concept, tie.counts.other) for tie in found.never} == expected
    alone = {name for name, one in zip(found.concepts, found.alone, strict=True) if one}
    assert alone == {k for k in family.mentioned if family.closure(k) == {k}}
    assert {frozenset(atom) for atom in found.atoms} == {a for a in family.atoms() if len(a) > 1}


def test_counts_and_bounds_agree_with_the_theory() -> None:
    rng = np.random.default_rng(0)
    captions = [
        [name for name, said in zip(LETTERS, row, strict=True) if said] or ["wa"]
        for row in rng.random((400, 7)) < [0.5, 0.95, 0.9, 0.3, 0.97, 0.2, 0.93]
    ]
    found = audited([" ".join(caption) for caption in captions])
    counts = Counts.from_captions(captions)
    assert found.nearly
    for tie in found.nearly:
        each = counts.companionship(
            tie.counts.concept, tie.counts.other, confidence=tie.counts.confidence
        )
        assert each == tie.counts
        assert 0 < tie.counts.exceptions <= 0.1 * tie.counts.mentions
    assert tie.counts.confidence == pytest.approx(1 - 0.05 / 42)


def test_nothing_depends_on_the_order() -> None:
    rng = np.random.default_rng(1)
    texts = [
        (f"{rng.integers(40)}.jpg", ". ".join(rng.choice(LETTERS, 4).tolist())) for _ in range(200)
    ]
    there, back = audited(texts).to_dict(), audited(texts[::-1]).to_dict()
    assert there == back


def test_pictures_with_several_captions_by_hand() -> None:
    found = audited(
        [
            ("1", "wa wb"),  # with the next: wa and wb are apart from each other, both ways
            ("1", "wa"),
            ("1", "wb"),
            ("2", "wa wb"),  # wa is never without wb here, wb is without wa
            ("2", "wb"),
            ("3", "wa"),
        ]
    )
    seen = found.per_picture
    assert seen is not None
    assert (seen.several, seen.pairs, seen.separated) == (2, 4, 3)
    assert (seen.all_separated, seen.covered) == (1, 2)
    assert audited(["wa", "wb"]).per_picture is None


def test_many_captions_of_one_picture_are_counted_as_few(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    told = [(f"{n % 3}", " ".join(rng.choice(LETTERS, 3).tolist())) for n in range(20)]
    few = audited(told).per_picture
    monkeypatch.setattr("smartclip.audit.findings._MANY", 4)
    assert audited(told).per_picture == few


def test_copies_of_one_caption_are_one_atom() -> None:
    found = audited(["wa wb wc"] * 1000)
    assert found.distinct == 1
    assert found.atoms == [("wa", "wb", "wc")]
    assert not found.alone.any()
    assert not found.surely.any()


def test_one_caption_and_a_very_long_one() -> None:
    assert audited(["wa"]).alone.sum() == 1
    long = audited(["wa wb. " * 150_000, "wb"])
    assert long.captions == 2
    assert [str(tie.counts.concept) for tie in long.never] == ["wa"]


def test_surely_asks_for_more_than_one_exception() -> None:
    once = audited(["wa wb"] * 300 + ["wa"] + ["wb"] * 300, LETTERS[:2])
    assert once.alone.all()
    assert once.surely.tolist() == [False, True]


def test_the_curve_ends_with_the_whole_corpus() -> None:
    texts = [
        f"{a} {b} x{number}"
        for number, (a, b) in enumerate(
            np.random.default_rng(2).choice(LETTERS, (3000, 2)).tolist()
        )
    ]
    curve = audited(texts).curve
    captions = [size.captions for size in curve]
    assert captions == sorted(captions)
    assert captions[-1] == 3000
    # Half of the pictures, up to chance.
    assert 1300 < captions[-2] < 1700
    assert curve[-1].alone == 7
    assert [size.alone for size in curve] == sorted(size.alone for size in curve)
