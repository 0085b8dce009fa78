import numpy as np
import pytest
import torch

from experiments.emoji_questions import Embedded, labels_of, questions
from experiments.recipes.emoji_split import part_of


@pytest.fixture(scope="module")
def asked(emoji_twin):
    return questions(emoji_twin)


def oracle(data, **options):
    """A code that is the number of the label, in one-hot form."""
    labels, label = labels_of(data)
    codes = torch.eye(len(labels))
    given = {
        "image": codes[label],
        "text": codes,
        "mask": torch.ones(len(labels), len(labels)),
        "label": label,
        "logit_scale": 10.0,
        "similarity": "cosine",
    }
    return Embedded(**given | options)


def test_held_out_parts_in_both_directions_and_across_vendors(asked, emoji_twin):
    assert [question.kind for question in asked] == [
        *(["picture by caption", "caption by picture"] * 3),
        "picture by picture",
    ]
    for question in asked:
        shape = (len(question.queries), len(question.candidates))
        assert question.right.shape == shape
        assert len(question.groups) == len(question.queries)
        assert question.right.any(1).all()
    by_caption, by_picture = asked[:2]
    held_out = [
        row
        for row, pair in enumerate(zip(emoji_twin.emoji, emoji_twin.vendors, strict=True))
        if part_of(*pair) == "combination"
    ]
    assert by_picture.queries.tolist() == held_out
    labels, _ = labels_of(emoji_twin)
    assert {labels[row] for row in by_caption.queries} == {
        emoji_twin.emoji[row].label for row in held_out
    }
    assert len(by_caption.candidates) == len(emoji_twin)


def test_an_unseen_style_is_looked_for_among_its_vendors_pictures(asked, emoji_twin):
    style, across = asked[2], asked[6]
    for question in (style, across):
        assert {emoji_twin.vendors[row] for row in question.candidates} == {"twitter"}
    assert {emoji_twin.vendors[row] for row in across.queries} == {"google"}
    for query, row in enumerate(across.queries):
        (right,) = across.candidates[np.flatnonzero(across.right[query])]
        assert emoji_twin.emoji[right].hexcode == emoji_twin.emoji[row].hexcode


def test_an_oracle_answers_everything_and_a_constant_what_chance_does(asked, emoji_twin):
    known, constant = oracle(emoji_twin), oracle(emoji_twin)
    constant.image.fill_(1)
    constant.text.fill_(1)
    for question in asked:
        assert known.answer(question, masked=False).at(1) == 1
        for masked in (False, True):
            found = constant.answer(question, masked=masked)
            assert found.at(1) == pytest.approx(float(found.chance[0]))


def test_the_masked_reading_looks_through_the_mask_of_the_caption(asked, emoji_twin):
    """Half of the coordinates are noise, and masks close them."""
    labels, label = labels_of(emoji_twin)
    noise = torch.Generator().manual_seed(0)
    image = torch.cat(
        [torch.eye(len(labels))[label], 9 * torch.rand(len(label), 50, generator=noise)], 1
    )
    text = torch.cat([torch.eye(len(labels)), 9 * torch.rand(len(labels), 50, generator=noise)], 1)
    mask = torch.cat([torch.ones(len(labels), len(labels)), torch.zeros(len(labels), 50)], 1)
    model = oracle(emoji_twin, image=image, text=text, mask=mask)
    for question in asked:
        assert model.answer(question, masked=True).at(1) == 1
        assert model.answer(question, masked=False).at(1) < 0.2
