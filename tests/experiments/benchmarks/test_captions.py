"""The benchmark's corpus is what it says, and its answer is right."""

from pathlib import Path

from experiments.benchmarks.captions import WORDS, audit_of, word, write_corpus


def test_the_corpus_ties_even_words_to_odd_ones(tmp_path: Path) -> None:
    write_corpus(tmp_path / "a.txt", 3000)
    lines = (tmp_path / "a.txt").read_text().splitlines()
    assert len(lines) == 3000
    assert {len(line.split()) for line in lines} == {WORDS}
    with_it = [line.split() for line in lines if word(4) in line.split()]
    assert len(with_it) > 20
    assert all(word(5) in line for line in with_it)
    assert any(word(5) in line.split() and word(4) not in line.split() for line in lines)


def test_every_planted_tie_is_found() -> None:
    assert "planted ties found: True" in audit_of(20_000).note
