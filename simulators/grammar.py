"""t = g_T(z * m, e_T) in English: a caption that names exactly the concepts of its mask.

e_T chooses the form (a phrase, a sentence, several, or a paragraph longer than CLIP's 77 tokens),
the order and the synonyms. `simulators.reading` takes captions apart again, independently.
"""

import re
from collections.abc import Sequence
from typing import TypeVar

SIDES = ("left", "right")

HEIGHTS = (
    ("near the top", "high up"),
    ("halfway up", "at mid-height"),
    ("near the bottom", "low down"),
)
DEPTHS = (("close to the centre", "towards the centre"), ("close to the edge", "towards the edge"))
WORDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "shape": (
        ("square", "box"),
        ("triangle",),
        ("star",),
        ("cross", "plus sign"),
        ("arrow",),
        ("crescent", "half-moon"),
    ),
    "hue": (
        ("red", "crimson"),
        ("orange", "tangerine"),
        ("yellow", "golden"),
        ("green", "emerald"),
        ("blue", "azure"),
        ("purple", "violet"),
    ),
    "size": (("small", "little"), ("medium-sized", "mid-sized"), ("large", "big")),
    "position": tuple(
        tuple(f"{h} and {d}" for h in height for d in depth)
        for height in HEIGHTS
        for depth in DEPTHS
    ),
    "orientation": (
        ("standing upright", "standing straight"),
        ("turned clockwise", "tilted clockwise"),
        ("turned anticlockwise", "tilted anticlockwise"),
    ),
    "texture": (("plain", "unpatterned"), ("striped", "stripy"), ("dotted", "spotted")),
    "background": (("sand", "sandy"), ("slate", "slate-grey"), ("mint", "minty"), ("rose", "rosy")),
    "light": (
        ("from above", "from overhead"),
        ("from below", "from underneath"),
        ("from the east", "from an eastern lamp"),
        ("from the west", "from a western lamp"),
    ),
}
"""How each value of each concept may be said."""

NOUNS = ("object", "thing", "figure")
FILLERS = (
    "this picture was drawn by a program and not by hand",
    "whoever looks at it for a while will find nothing else to report",
    "it is one of very many pictures that were made in the same manner",
    "no person or animal appears anywhere in it",
    "there is no writing in it either, and nothing moves",
    "the description is longer than it needs to be, as descriptions often are",
    "a reader in a hurry may skip this part without any loss",
    "what has not been said so far may be anything at all",
    "one could go on, but every further word would only repeat the rest",
    "so much for the circumstances",
)

PHRASE, SENTENCE, SENTENCES, PARAGRAPH = range(4)

T = TypeVar("T")

Mention = tuple[str, str, int]
"""(side or "", attribute, value)."""


class Choices:
    """Numbers in [0, 1) that pick, one after another, and start again at the end."""

    def __init__(self, ranks: Sequence[float]) -> None:
        self._ranks = ranks
        self._next = 0

    def pick(self, options: Sequence[T]) -> T:
        """One of the options; a single option costs no number."""
        if len(options) == 1:
            return options[0]
        rank = self._ranks[self._next % len(self._ranks)]
        self._next += 1
        return options[min(int(rank * len(options)), len(options) - 1)]


def caption(mentions: Sequence[Mention], form: int, choices: Choices) -> str:
    """One caption that says these things, in this order where the form leaves it free.

    Args:
        mentions: what is said.
        form: PHRASE, SENTENCE, SENTENCES or PARAGRAPH.
        choices: the synonyms.

    >>> said = [("left", "hue", 1), ("left", "shape", 2), ("", "light", 0)]
    >>> caption(said, SENTENCE, Choices([0.0]))
    'On the left an orange star, lit from above.'
    """
    if form == PHRASE:
        text = _phrase(mentions, choices)
    elif form == SENTENCE:
        text = _capital(_description(mentions, choices)) + "."
    else:
        sentences = [_sentence(mention, choices) for mention in mentions]
        if form == PARAGRAPH:
            first = choices.pick(range(len(FILLERS)))
            fillers = [*FILLERS[first:], *FILLERS[:first]]
            cut = choices.pick(range(len(fillers)))
            sentences = [*fillers[:cut], *sentences, *fillers[cut:]]
        text = " ".join(_capital(sentence) + "." for sentence in sentences)
    return re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _word(attribute: str, value: int, choices: Choices) -> str:
    return choices.pick(WORDS[attribute][value])


def _by_side(mentions: Sequence[Mention]) -> dict[str, dict[str, int]]:
    """The mentions of each object, and of the whole scene, in the order of their first mention."""
    parts: dict[str, dict[str, int]] = {}
    for side, attribute, value in mentions:
        parts.setdefault(side, {})[attribute] = value
    return parts


def _phrase(mentions: Sequence[Mention], choices: Choices) -> str:
    """left: star, red; mint background"""
    clauses: list[str] = []
    for side, values in _by_side(mentions).items():
        words = [_word(attribute, value, choices) for attribute, value in values.items()]
        if side:
            clauses.append(f"{side}: {', '.join(words)}")
        else:
            frames = {"background": "{} background", "light": "light {}"}
            clauses += [
                frames[attribute].format(word)
                for attribute, word in zip(values, words, strict=True)
            ]
    return "; ".join(clauses)


def _description(mentions: Sequence[Mention], choices: Choices) -> str:
    """On the left a small dotted red star turned clockwise, lit from above."""
    clauses: list[str] = []
    for side, values in _by_side(mentions).items():
        said = {attribute: _word(attribute, value, choices) for attribute, value in values.items()}
        if side:
            kind = said.get("shape") or choices.pick(NOUNS)
            before = [said[a] for a in ("size", "texture", "hue") if a in said]
            after = [said[a] for a in ("orientation", "position") if a in said]
            place = choices.pick((f"on the {side}", f"to the {side}"))
            clauses.append(" ".join([place, "a", *before, kind, *after]))
        else:
            if "background" in said:
                clauses.append(f"on a {said['background']} background")
            if "light" in said:
                clauses.append(f"lit {said['light']}")
    return ", ".join(clauses)


def _sentence(mention: Mention, choices: Choices) -> str:
    """the object on the left is striped"""
    side, attribute, value = mention
    word = _word(attribute, value, choices)
    if attribute == "background":
        return choices.pick((f"the background is {word}", f"behind it all is a {word} background"))
    if attribute == "light":
        return choices.pick((f"the light comes {word}", f"everything is lit {word}"))
    noun = choices.pick(NOUNS)
    subject = choices.pick((f"the {side} {noun}", f"the {noun} on the {side}"))
    if attribute == "shape":
        return f"{subject} is a {word}"
    return f"{subject} is {word}"
