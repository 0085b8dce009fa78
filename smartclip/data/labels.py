"""Concepts of an emoji from its Unicode label: "woman firefighter: dark skin tone" names three.

The concepts are kinds of property (who, what, which skin tone), not their values. A caption
mentions a concept when it says its value.
"""

import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

CONCEPTS = ("subject", "gender", "skin tone", "hair", "direction", "colour", "kind")

_TONES = ("light", "medium-light", "medium", "medium-dark", "dark")
_WHO = ("woman and man", "woman", "man", "person", "women", "men", "people")
_MEMBERS = {"woman", "man", "boy", "girl", "adult", "child"}
_ADJECTIVES = {"pregnant": "pregnant", "deaf": "deaf", "old": "old", "older": "old"}
_COLOURS = "red|pink|orange|yellow|green|light blue|blue|purple|brown|black|grey|white"
_ONE_WORD = {  # labels that name gender and subject in one word
    "mermaid": ("woman", "merperson"),
    "merman": ("man", "merperson"),
    "merperson": ("person", "merperson"),
    "Mrs. Claus": ("woman", "Claus"),
    "Santa Claus": ("man", "Claus"),
    "Mx Claus": ("person", "Claus"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Caption:
    """A text and what it says of the image.

    Attributes:
        text: the words.
        values: the value of each concept it mentions.
        source: `label` is the Unicode label, `part` the label with something left out, `tags` are
            keywords of the emoji.
    """

    text: str
    values: Mapping[str, str]
    source: Literal["label", "part", "tags"]

    @property
    def concepts(self) -> frozenset[str]:
        """B(m), the block that the caption mentions."""
        return frozenset(self.values)


class LabelReader:
    """Reads labels against all the others: "firefighter" has a gender as "woman firefighter" does.

    Args:
        labels: of all emoji without a skin tone.

    >>> reader = LabelReader(["firefighter", "woman firefighter", "red heart", "blue heart"])
    >>> reader.values("woman firefighter", person=True)
    {'subject': 'firefighter', 'gender': 'woman'}
    >>> reader.values("firefighter", person=True)
    {'subject': 'firefighter', 'gender': 'person'}
    >>> reader.values("red heart", person=False)
    {'subject': 'heart', 'colour': 'red'}
    """

    def __init__(self, labels: Collection[str]) -> None:
        self._labels = frozenset(labels)
        coloured = [_coloured(label) for label in self._labels]
        subjects = [found[1] for found in coloured if found]
        self._in_colours = {subject for subject in subjects if subjects.count(subject) > 1}

    def values(self, label: str, *, person: bool) -> dict[str, str]:
        """The value of each concept that the emoji with this label has.

        Args:
            label: without a skin tone.
            person: the emoji shows a whole person or several.
        """
        if person:
            return self._person(label)
        coloured = _coloured(label)
        if coloured and coloured[1] in self._in_colours:
            return {"subject": coloured[1], "colour": coloured[0]}
        return {"subject": label}

    def _person(self, label: str) -> dict[str, str]:
        head, _, tail = label.partition(": ")
        subject, gender = self._head(head)
        values = {"subject": subject, "gender": gender}
        details = tail.split(", ") if tail else []
        members = [detail for detail in details if detail in _MEMBERS]
        if members:
            values["gender"] = ", ".join(members)
        for detail in details:
            if detail.endswith(" hair") or detail in ("beard", "bald"):
                values["hair"] = detail
            elif detail.startswith("facing"):
                values["direction"] = detail
        return {concept: value for concept, value in values.items() if value}

    def _head(self, head: str) -> tuple[str, str]:
        """Subject and gender, either of them possibly empty."""
        if head in _ONE_WORD:
            gender, subject = _ONE_WORD[head]
            return subject, gender
        for who in _WHO:
            if head == who:
                return "", who
            if head.startswith(f"{who} "):
                return head.removeprefix(f"{who} "), who
        first, _, last = head.partition(" ")
        if first in _ADJECTIVES and last in _WHO:
            return _ADJECTIVES[first], last
        has_gender = not self._labels.isdisjoint((f"woman {head}", f"man {head}"))
        return head, "person" if has_gender else ""


def skin_tone(tones: Sequence[int]) -> str:
    """The words of one Fitzpatrick tone or of a pair, 1 the lightest and 5 the darkest.

    >>> skin_tone([5]), skin_tone([1, 3])
    ('dark skin tone', 'light skin tone, medium skin tone')
    """
    return ", ".join(f"{_TONES[tone - 1]} skin tone" for tone in tones)


def captions(label: str, values: Mapping[str, str], tags: Sequence[str]) -> Iterator[Caption]:
    """The label, every part of it, the kind alone, and the keywords by threes.

    Each caption mentions a known subset of the concepts of the emoji; no two have the same text.
    """
    said = {concept: value for concept, value in values.items() if concept != "kind"}
    if said.get("gender") == "person" and "person" not in label:
        in_label = {concept: value for concept, value in said.items() if concept != "gender"}
    else:
        in_label = said
    yield Caption(text=label, values=in_label, source="label")
    texts = {label}
    subsets = itertools.chain.from_iterable(
        itertools.combinations(said, size) for size in range(1, len(said) + 1)
    )
    for subset in (*subsets, *([("kind",)] if "kind" in values else [])):
        part = {concept: values[concept] for concept in subset}
        text = worded(part)
        if text not in texts and part != in_label:
            texts.add(text)
            yield Caption(text=text, values=part, source="part")
    if "subject" in said:
        # A keyword that repeats a word of another concept would mention that concept too.
        others = {concept: value for concept, value in values.items() if concept != "subject"}
        words = {word for value in others.values() for word in re.findall(r"[\w-]+", value)}
        words |= _MEMBERS | set(_WHO)
        kept = [tag for tag in tags if words.isdisjoint(re.findall(r"[\w-]+", tag))]
        for first in range(0, len(kept), 3):
            text = ", ".join(kept[first : first + 3])
            if text not in texts:
                texts.add(text)
                yield Caption(text=text, values={"subject": said["subject"]}, source="tags")


def worded(values: Mapping[str, str]) -> str:
    """Words for some values, in the form of a Unicode label.

    >>> worded({"gender": "woman", "subject": "firefighter", "skin tone": "dark skin tone"})
    'woman firefighter: dark skin tone'
    >>> worded({"gender": "woman, man", "subject": "kiss"}), worded({"hair": "red hair"})
    ('kiss: woman, man', 'red hair')
    """
    subject, gender = values.get("subject", ""), values.get("gender", "")
    members = gender if "," in gender else ""
    who = "" if members else gender
    order = (subject, who) if subject in _ADJECTIVES.values() else (who, subject)
    head = " ".join(filter(None, (values.get("colour"), *order)))
    details = [values.get(concept) for concept in ("skin tone", "hair", "direction")]
    kind = f"any {values['kind']}" if "kind" in values else ""
    tail = ", ".join(filter(None, (members, *details, kind)))
    return ": ".join(filter(None, (head, tail)))


def _coloured(label: str) -> tuple[str, str] | None:
    """Colour and the rest of a label such as "red heart" or "large blue diamond"."""
    found = re.match(rf"(large |small )?({_COLOURS}) (.+)", label)
    return (found[2], (found[1] or "") + found[3]) if found else None
