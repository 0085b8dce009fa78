from collections import Counter

import pytest

from experiments.recipes.emoji_split import PARTS, UNSEEN_STYLE, part_of, parts, select
from theory.errors import InputError


def subjects(data):
    return {emoji.values["subject"] for emoji in data.emoji}


def test_each_picture_is_in_one_part(emoji_twin):
    counts = {part: len(parts(emoji_twin, part)) for part in PARTS}
    assert sum(counts.values()) == len(emoji_twin)
    assert min(counts.values()) > 0
    assert len(parts(emoji_twin, *PARTS)) == len(emoji_twin)
    assert counts["combination"] == len(emoji_twin.subset(split="combination"))
    assert counts["emoji"] == len(emoji_twin.subset(split="emoji"))


def test_what_is_held_out_was_seen_in_part(emoji_twin):
    train = parts(emoji_twin, "train")
    seen = Counter((e.values["subject"], e.values["gender"]) for e in train.emoji)
    for part in ("validation", "combination", "style"):
        held_out = parts(emoji_twin, part)
        assert subjects(held_out) <= subjects(train)
        assert all(seen[e.values["subject"], e.values["gender"]] for e in held_out.emoji)
    assert subjects(parts(emoji_twin, "emoji")).isdisjoint(subjects(train))
    hexcodes = {emoji.hexcode for emoji in train.emoji}
    for part in ("validation", "combination", "emoji"):
        assert hexcodes.isdisjoint(emoji.hexcode for emoji in parts(emoji_twin, part).emoji)


def test_an_unseen_style_was_seen_as_the_other_vendor_draws_it(emoji_twin):
    style, train = parts(emoji_twin, "style"), parts(emoji_twin, "train")
    assert set(style.vendors) == {UNSEEN_STYLE}
    trained = set(zip((e.hexcode for e in train.emoji), train.vendors, strict=True))
    assert all((emoji.hexcode, "google") in trained for emoji in style.emoji)


def test_a_selection_keeps_pictures_with_their_emoji(emoji_twin):
    chosen = select(
        emoji_twin, lambda emoji, vendor: vendor == "google" and "role4:" in emoji.label
    )
    assert len(chosen) == 15
    row = next(
        row
        for row in range(len(emoji_twin))
        if (emoji_twin.emoji[row], emoji_twin.vendors[row]) == (chosen.emoji[7], "google")
    )
    assert (chosen.images[7] == emoji_twin.images[row]).all()
    assert part_of(chosen.emoji[7], "google") in PARTS


def test_an_unknown_part_is_named(emoji_twin):
    with pytest.raises(InputError, match="'test'"):
        parts(emoji_twin, "test")
