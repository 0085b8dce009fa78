"""Emoji: which picture is held out for what, and two captions of each."""

from collections import Counter
from typing import get_args

import pytest
import torch

from experiments.datasets.emoji import (
    GALLERIES,
    UNSEEN_STYLE,
    EmojiPictures,
    EmojiSet,
    EmojiSource,
    Part,
    part_of,
    parts,
    select,
)

PARTS = get_args(Part)
CPU = torch.device("cpu")


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


@pytest.fixture(scope="module")
def data(emoji_twin) -> EmojiPictures:
    return EmojiPictures(EmojiSet(debug=True), emoji_twin)


def test_the_second_caption_is_one_of_the_picture_and_the_first_its_label(data: EmojiPictures):
    source = EmojiSource(data.train, data.tokenizer, seed=5, captions=2)
    images, tokens = source.batch(3, 40, CPU)
    drawn = data.train.sample(40, seed=5, start=120)
    assert torch.equal(images, drawn.image)
    labels = [data.train.emoji[row].label for row in drawn.index.tolist()]
    assert torch.equal(tokens[:, 0], data.tokenizer.tokenise(labels))
    assert torch.equal(tokens[:, 1], data.tokenizer.tokenise(drawn.text))
    assert (tokens[:, 0] != tokens[:, 1]).any()


def test_a_caption_asks_among_all_pictures_and_a_style_among_its_own(data: EmojiPictures):
    found = {gallery.name: gallery for gallery in data.galleries()}
    assert list(found) == list(GALLERIES.values())
    for name, gallery in found.items():
        among = len(data.data) // (2 if name == "unseen style" else 1)
        assert gallery.relevant.shape == (among, len(gallery.texts))
        assert gallery.relevant.any(0).all()
    combination = parts(data.data, "combination")
    assert set(found["unseen combinations"].texts) == {e.label for e in combination.emoji}


def test_no_validation_picture_is_trained_on_or_asked_for(data: EmojiPictures):
    kept = {emoji.hexcode for emoji in parts(data.data, "validation").emoji}
    asked = {text for gallery in data.galleries() for text in gallery.texts}
    assert kept.isdisjoint(emoji.hexcode for emoji in data.train.emoji)
    assert asked.isdisjoint(emoji.label for emoji in parts(data.data, "validation").emoji)
