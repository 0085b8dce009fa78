from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from simulators import SceneWorld, grammar
from simulators.export import export
from simulators.scenes import CONCEPTS, SIZES
from smartclip.audit.run import Concepts, audit_captions
from theory import CaptionFamily
from theory.errors import InputError

ATTRIBUTES = ("shape", "hue", "size", "position", "orientation", "texture")


def spoken(path: Path) -> Path:
    """The words of the grammar for what may be said of the left object, and of the scene."""
    lines = []
    for concept in (f"left {name}" for name in ATTRIBUTES):
        values = grammar.WORDS[concept.partition(" ")[2]]
        lines.append(f"{concept}: {', '.join(way for ways in values for way in ways)}")
    # "sand" and "from above" need what stands around them: both are said in several forms.
    lines += [
        f"{name}: {', '.join(way for ways in grammar.WORDS[name] for way in ways)}"
        for name in ("background", "light")
    ]
    path.write_text("\n".join(lines))
    return path


def random_family(seed: int) -> CaptionFamily:
    """Captions about the left object and the scene."""
    rng = np.random.default_rng(seed)
    known = [name for name in CONCEPTS if not name.startswith("right")]
    captions = [
        rng.choice(known, size=int(rng.integers(1, 5)), replace=False).tolist() for _ in range(5)
    ]
    return CaptionFamily(captions, concepts=CONCEPTS, sizes=SIZES)


@pytest.mark.parametrize("seed", range(4))
def test_a_family_is_recovered_from_the_words_of_its_scenes(tmp_path: Path, seed: int) -> None:
    """Accompaniment, atoms and what is identified alone, exactly, and the count of every pair."""
    world = SceneWorld(random_family(seed), pixels=16)
    export(world, tmp_path / "world", samples=120, seed=seed, captions_per_image=2)
    concepts = Concepts(vocabulary=spoken(tmp_path / "words.txt"))
    found, _ = audit_captions([tmp_path / "world"], concepts)
    assert found.captions == 240
    drawn = np.concatenate(
        [world.sample(120, seed=seed, draw=draw).caption.numpy() for draw in (0, 1)]
    )
    assert len(set(drawn.tolist())) == len(world.family)
    place = [world.family.concepts.index(name) for name in found.concepts]
    masks = world.family.matrix[drawn][:, place].astype(int)
    assert (found.total == masks.T @ masks).all()
    check(found.to_dict(), world.family)


def test_tags_recover_the_whole_family(tmp_path: Path) -> None:
    world = SceneWorld(pixels=16)
    export(world, tmp_path, samples=200, seed=0, layout="parquet")
    found, _ = audit_captions([tmp_path], Concepts(tags="mentions", least=1))
    check(found.to_dict(), world.family)


def check(told: dict, family: CaptionFamily) -> None:
    pairs = {(one["concept"], one["with"]) for one in told["never_apart"]["listed"]}
    assert pairs == {(k, j) for k in family.mentioned for j in family.closure(k) if j != k}
    alone = {one["concept"] for one in told["concepts"] if one["alone"]}
    assert alone == {k for k in family.mentioned if family.closure(k) == {k}}
    atoms = {frozenset(atom) for atom in told["atoms"]}
    assert atoms == {atom for atom in family.atoms() if len(atom) > 1}


def test_shards_may_come_in_any_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = [f"w{letter}" for letter in "abcdefghijkl"]
    lines = [" ".join(rng.choice(words, 5).tolist()) for _ in range(300)]
    results = []
    for name, order in (("there", lines), ("back", lines[::-1])):
        paths = [tmp_path / f"{name}{part}.csv" for part in range(3)]
        for part, path in enumerate(paths):
            path.write_text("\n".join(["caption", *order[part::3]]))
        results.append(audit_captions(paths, Concepts(least=2))[0].to_dict() | {"source": ""})
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "holds no caption"),
        (b"\n\n \n", "holds no caption"),
        (b"\xff\xff\n", r"1 left out, the first: a\.txt line 1: characters that are not UTF-8"),
        (b"the of and\n", "no word is in 1 of 1 captions"),
    ],
)
def test_a_corpus_of_nothing_is_one_error(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(InputError, match=told):
        audit_captions([tmp_path / "a.txt"], Concepts(least=1))


@pytest.mark.parametrize(
    "text", ["ein Hund, 犬, собака, 🐶 dog", "e\u0301te\u0301 \u202e été", "x" * 1_000_000]
)
def test_any_writing_is_counted(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    found, _ = audit_captions([tmp_path / "a.txt"], Concepts(least=1))
    assert found.captions == 1
    assert (found.mentions == 1).all()


def test_both_forms_of_an_accent_are_one_word(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("e\u0301te\u0301\n\xe9t\xe9\n", encoding="utf-8")
    found, _ = audit_captions([tmp_path / "a.txt"], Concepts(least=2))
    assert found.concepts == ("\xe9t\xe9",)


@pytest.mark.parametrize(
    ("concepts", "told"),
    [
        (Concepts(least=0), "--least 0"),
        (Concepts(most=0), "--most 0"),
        (Concepts(most=30_000), "1 to 20,000"),
        (Concepts(vocabulary=Path("absent.txt")), "could not be read"),
        (Concepts(vocabulary=Path("absent.txt"), tags="tags"), "concepts come from one of them"),
    ],
)
def test_wrong_limits_are_refused_before_anything_is_read(
    tmp_path: Path, concepts: Concepts, told: str
) -> None:
    with pytest.raises(InputError, match=told):
        audit_captions([tmp_path / "absent.jsonl"], concepts)


def test_what_is_only_denied_is_no_concept_unless_it_is_listed(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a dog\na man with no hat\n" * 3 + "a hat\n")
    (tmp_path / "words.txt").write_text("dog\nhat\n")
    found, _ = audit_captions([tmp_path / "a.txt"], Concepts(least=3))
    assert found.concepts == ("dog", "man")
    listed, _ = audit_captions([tmp_path / "a.txt"], Concepts(vocabulary=tmp_path / "words.txt"))
    assert listed.concepts == ("dog", "hat")
    assert (listed.mentions.tolist(), listed.denied.tolist()) == ([3, 1], [0, 3])


def test_a_vocabulary_that_nothing_mentions_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a dog\n")
    (tmp_path / "words.txt").write_text("horse\n")
    with pytest.raises(InputError, match="mention none of 1 concepts"):
        audit_captions([tmp_path / "a.txt"], Concepts(vocabulary=tmp_path / "words.txt"))


def progress(paths: Sequence[Path]) -> list[int]:
    seen: list[int] = []
    audit_captions(paths, Concepts(least=1), seen=seen.append)
    return seen


def test_progress_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a dog\n" * 5000)
    assert progress([tmp_path / "a.txt"]) == [4096, 5000]
