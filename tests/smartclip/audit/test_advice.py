import pytest

from smartclip.audit.advice import Advice, advise
from smartclip.audit.captioned import Captioned, LeftOut
from smartclip.audit.findings import findings
from smartclip.audit.mentions import find_mentions
from smartclip.audit.vocabulary import Vocabulary
from smartclip.audit.words import read_words
from theory import CaptionFamily, predict
from theory.errors import InputError

NAMES = ["dog", "leash", "collar", "cat", "fox"]


def advice_for(*captions: tuple[str, str], wanted: tuple[str, ...] = ()) -> Advice:
    words = read_words(Captioned(picture, text, ()) for picture, text in captions)
    rows = find_mentions(words, Vocabulary.of({name: [name] for name in NAMES}))
    return advise(findings(words, rows, source="here", left_out=LeftOut()), words, wanted)


def test_sentences_that_are_there_need_no_new_caption() -> None:
    found = advice_for(("1", "A dog. It has a leash. A leash!"), ("2", "a dog"))
    assert found.wanted == ("leash",)
    assert found.by_sampling == {"leash": 2}
    assert found.captions == ()


def test_a_new_caption_names_what_a_picture_shows() -> None:
    found = advice_for(
        ("1", "dog with leash"), ("2", "leash of a dog"), ("3", "a dog"), ("4", "cat")
    )
    (caption,) = found.captions
    assert caption.mentions == ("leash",)
    assert caption.instead_of == ("dog",)
    assert (caption.pictures, caption.first) == (2, ("1", "2"))
    assert found.lower_bound == 1


def test_one_caption_serves_two_concepts_only_if_a_picture_shows_both() -> None:
    apart = advice_for(("1", "dog leash"), ("2", "cat collar"), ("3", "dog"), ("4", "cat"))
    assert {one.mentions for one in apart.captions} == {("leash",), ("collar",)}
    assert apart.lower_bound == 1  # pictures aside
    joint = advice_for(("1", "dog leash"), ("1", "cat collar"), ("3", "dog"), ("4", "cat"))
    assert [one.mentions for one in joint.captions] == [("collar", "leash")]
    assert [one.pictures for one in joint.captions] == [1]


def test_after_the_advice_every_wanted_concept_is_alone() -> None:
    texts = ["dog leash collar", "dog leash", "cat fox", "dog", "dog cat leash fox"]
    found = advice_for(*((f"{n}", text) for n, text in enumerate(texts)))
    before = CaptionFamily([text.split() for text in texts])
    assert set(found.wanted) == set(predict(before).entangled)
    after = before.with_captions([caption.mentions for caption in found.captions])
    assert set(predict(after).alone) == {"dog", "leash", "collar", "cat", "fox"}
    shown = [set(text.split()) for text in texts]
    assert all(any(set(one.mentions) <= each for each in shown) for one in found.captions)


def test_concepts_can_be_chosen() -> None:
    captions = (("1", "dog leash"), ("2", "cat collar"))
    found = advice_for(*captions, wanted=("leash", "fox"))
    assert [one.mentions for one in found.captions] == [("leash",)]
    assert found.impossible == ("fox",)
    assert found.lines()[-1] == "fox: no caption mentions it."
    with pytest.raises(InputError, match="wanted concept 'horse'"):
        advice_for(*captions, wanted=("horse",))


def test_nothing_to_do_is_said() -> None:
    found = advice_for(("1", "a dog"), ("2", "a cat"))
    assert found.lines() == ["Every concept asked about is identified alone already."]
