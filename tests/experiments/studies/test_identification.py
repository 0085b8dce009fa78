"""The identification suite: its families and its page; training them is a study, not a test."""

import pandas as pd

from experiments.studies.identification import families, page
from theory import CaptionFamily, predict


def test_twelve_families_predict_what_the_theory_says_of_them():
    alone = {
        name: len(predict(CaptionFamily.from_captions(captions, sizes=sizes)).alone)
        for name, (captions, sizes) in families().items()
    }
    assert len(alone) == 12
    assert alone["a: four overlapping"] == 5
    assert alone["d: prefix chain of 5"] == 1
    assert alone["h: star"] == 1
    assert alone["i: disjoint"] == 0
    assert alone["j: smallest for 6"] == 6


def test_the_page_counts_what_passed():
    row = {
        "family": "i",
        "latents": "independent",
        "seed": 0,
        "promised": 5,
        "reached": 5,
        "entangled but alone": 0,
        "passed": True,
        "least completeness": 0.99,
        "least purity": 0.98,
        "used": 8,
        "needed": 8,
        "seconds": 20.4,
    }
    failed = row | {"seed": 1, "reached": 4, "passed": False}
    text = page(pd.DataFrame([row, failed]))
    assert "**1 of 2 runs passed; 9 of 10 promised blocks were reached.**" in text
    assert "independent: 1 of 2 runs, 90% of promised blocks" in text
