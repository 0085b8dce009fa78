import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartclip.data.labels import CONCEPTS, LabelReader, captions, skin_tone, worded

PEOPLE = {
    "woman firefighter": {"subject": "firefighter", "gender": "woman"},
    "man firefighter": {"subject": "firefighter", "gender": "man"},
    "firefighter": {"subject": "firefighter", "gender": "person"},
    "person running": {"subject": "running", "gender": "person"},
    "person running: facing right": {
        "subject": "running",
        "gender": "person",
        "direction": "facing right",
    },
    "woman": {"gender": "woman"},
    "woman: red hair": {"gender": "woman", "hair": "red hair"},
    "person: beard": {"gender": "person", "hair": "beard"},
    "man: bald": {"gender": "man", "hair": "bald"},
    "pregnant woman": {"subject": "pregnant", "gender": "woman"},
    "older person": {"subject": "old", "gender": "person"},
    "mermaid": {"subject": "merperson", "gender": "woman"},
    "kiss": {"subject": "kiss"},
    "kiss: woman, man": {"subject": "kiss", "gender": "woman, man"},
    "woman and man holding hands": {"subject": "holding hands", "gender": "woman and man"},
    "women wrestling": {"subject": "wrestling", "gender": "women"},
    "baby": {"subject": "baby"},
}
THINGS = {
    "red heart": {"subject": "heart", "colour": "red"},
    "light blue heart": {"subject": "heart", "colour": "light blue"},
    "large orange diamond": {"subject": "large diamond", "colour": "orange"},
    "large blue diamond": {"subject": "large diamond", "colour": "blue"},
    "red envelope": {"subject": "red envelope"},  # there is no other envelope
    "flag: France": {"subject": "flag: France"},
    "woman’s boot": {"subject": "woman’s boot"},
}


@pytest.fixture(scope="module")
def reader() -> LabelReader:
    return LabelReader([*PEOPLE, *THINGS])


@pytest.mark.parametrize(("label", "values"), PEOPLE.items())
def test_people(reader: LabelReader, label: str, values: dict[str, str]) -> None:
    assert reader.values(label, person=True) == values


@pytest.mark.parametrize(("label", "values"), THINGS.items())
def test_things(reader: LabelReader, label: str, values: dict[str, str]) -> None:
    assert reader.values(label, person=False) == values


def said(label: str, values: dict[str, str], tags: tuple[str, ...] = ()) -> dict[str, set[str]]:
    return {caption.text: set(caption.concepts) for caption in captions(label, values, tags)}


def test_every_part_of_a_label_is_a_caption() -> None:
    values = {
        "subject": "firefighter",
        "gender": "woman",
        "kind": "person role",
        "skin tone": "dark skin tone",
    }
    found = said("woman firefighter: dark skin tone", values, ("fire", "woman", "firetruck"))
    assert found == {
        "woman firefighter: dark skin tone": {"subject", "gender", "skin tone"},
        "woman firefighter": {"subject", "gender"},
        "firefighter: dark skin tone": {"subject", "skin tone"},
        "woman: dark skin tone": {"gender", "skin tone"},
        "firefighter": {"subject"},
        "woman": {"gender"},
        "dark skin tone": {"skin tone"},
        "any person role": {"kind"},
        "fire, firetruck": {"subject"},
    }


def test_a_label_that_names_no_gender_does_not_mention_it() -> None:
    values = {"subject": "firefighter", "gender": "person", "kind": "person role"}
    found = said("firefighter", values)
    assert found["firefighter"] == {"subject"}
    assert found["person firefighter"] == {"subject", "gender"}


def test_keywords_that_mention_other_concepts_are_left_out() -> None:
    values = {"subject": "heart", "colour": "orange", "kind": "heart"}
    tags = ("orange", "dark orange", "love", "143", "heart", "date", "like", "xoxo")
    found = said("orange heart", values, tags)
    assert [text for text, concepts in found.items() if ", " in text] == [
        "love, 143, date",
        "like, xoxo",
    ]


@given(
    st.dictionaries(
        st.sampled_from([concept for concept in CONCEPTS if concept != "kind"]),
        st.text("abcdef ", min_size=1, max_size=8).filter(str.strip),
        min_size=1,
    )
)
def test_captions_are_distinct_and_say_only_what_is_there(values: dict[str, str]) -> None:
    values = values | {"kind": "thing"}
    found = list(captions("the label", values, ("x", "y")))
    assert len({caption.text for caption in found}) == len(found)
    for caption in found:
        assert caption.concepts
        assert caption.values.items() <= values.items()
        if caption.source == "part":
            assert caption.text == worded(caption.values)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"subject": "pregnant", "gender": "woman"}, "pregnant woman"),
        ({"subject": "wrestling", "gender": "women"}, "women wrestling"),
        ({"colour": "orange", "subject": "heart"}, "orange heart"),
        ({"gender": "woman, man", "skin tone": "dark skin tone"}, "woman, man, dark skin tone"),
        ({"hair": "beard", "direction": "facing right"}, "beard, facing right"),
        ({"kind": "animal bug"}, "any animal bug"),
    ],
)
def test_wording(values: dict[str, str], text: str) -> None:
    assert worded(values) == text


def test_skin_tones() -> None:
    assert [skin_tone([tone]) for tone in range(1, 6)] == [
        "light skin tone",
        "medium-light skin tone",
        "medium skin tone",
        "medium-dark skin tone",
        "dark skin tone",
    ]
    assert skin_tone([5, 1]) == "dark skin tone, light skin tone"
