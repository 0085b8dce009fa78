"""m and z * m from a caption: a reader of scene captions that shares nothing with their grammar.

It knows words and which side was last spoken of. It exists to check that captions say exactly what
their masks say.
"""

import re

LEXICON: tuple[tuple[str, str, int], ...] = (
    (r"square|box", "shape", 0),
    (r"triangle", "shape", 1),
    (r"star", "shape", 2),
    (r"cross|plus sign", "shape", 3),
    (r"arrow", "shape", 4),
    (r"crescent|half-moon", "shape", 5),
    (r"red|crimson", "hue", 0),
    (r"orange|tangerine", "hue", 1),
    (r"yellow|golden", "hue", 2),
    (r"green|emerald", "hue", 3),
    (r"blue|azure", "hue", 4),
    (r"purple|violet", "hue", 5),
    (r"small|little", "size", 0),
    (r"(?:medium|mid)-sized", "size", 1),
    (r"large|big", "size", 2),
    (r"near the top|high up", "height", 0),
    (r"halfway up|at mid-height", "height", 1),
    (r"near the bottom|low down", "height", 2),
    (r"(?:close to|towards) the centre", "depth", 0),
    (r"(?:close to|towards) the edge", "depth", 1),
    (r"standing (?:upright|straight)", "orientation", 0),
    (r"(?:turned|tilted) clockwise", "orientation", 1),
    (r"(?:turned|tilted) anticlockwise", "orientation", 2),
    (r"plain|unpatterned", "texture", 0),
    (r"striped|stripy", "texture", 1),
    (r"dotted|spotted", "texture", 2),
    (r"sand|sandy", "background", 0),
    (r"slate|slate-grey", "background", 1),
    (r"mint|minty", "background", 2),
    (r"rose|rosy", "background", 3),
    (r"from above|from overhead", "light", 0),
    (r"from below|from underneath", "light", 1),
    (r"from the east|from an eastern lamp", "light", 2),
    (r"from the west|from a western lamp", "light", 3),
)
WORD = re.compile(
    r"\b(?:(?P<side>left|right)|"
    + "|".join(f"(?P<w{i}>{pattern})" for i, (pattern, _, _) in enumerate(LEXICON))
    + r")\b(?!-)",
    re.IGNORECASE,
)
OF_THE_SCENE = {"background", "light"}


class Unreadable(ValueError):
    """The caption contradicts itself, or speaks of an object without saying which."""


def read_scene(text: str) -> dict[str, tuple[int, ...]]:
    """Concept -> its values, one for each dimension of the concept.

    Raises:
        Unreadable: a word has no side, half of a position is missing, or a concept is named twice.

    >>> read_scene("Left: star, near the top and close to the edge; mint background")
    {'left shape': (2,), 'left position': (0, 1), 'background': (2,)}
    """
    found: dict[str, tuple[int, ...]] = {}
    halves: dict[str, dict[str, int]] = {}
    side = ""
    for match in WORD.finditer(text):
        group = match.lastgroup or ""
        if group == "side":
            side = match.group().lower()
            continue
        _, attribute, value = LEXICON[int(group[1:])]
        if attribute not in OF_THE_SCENE and not side:
            raise Unreadable(f"{match.group()!r} belongs to no side in {text!r}")
        concept = attribute if attribute in OF_THE_SCENE else f"{side} {attribute}"
        if attribute in ("height", "depth"):
            concept = f"{side} position"
            half = halves.setdefault(concept, {})
            if attribute in half:
                raise Unreadable(f"{concept} is given twice in {text!r}")
            half[attribute] = value
            found[concept] = (half.get("height", -1), half.get("depth", -1))
        elif concept in found:
            raise Unreadable(f"{concept} is given twice in {text!r}")
        else:
            found[concept] = (value,)
    if any(-1 in values for values in found.values()):
        raise Unreadable(f"half of a position is missing in {text!r}")
    return found
