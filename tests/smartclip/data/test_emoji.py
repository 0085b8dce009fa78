import hashlib
import io
import json
import os
import shutil
import tarfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from smartclip.data import emoji as module
from smartclip.data.emoji import BACKGROUND, CONCEPTS, EmojiData
from theory.errors import InputError

TONES = ["1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF"]
ROLES = ["judge", "pilot", "cook", "singer", "farmer", "guard", "mage", "elf"]
NAMES = ("light", "medium-light", "medium", "medium-dark", "dark")


def entries() -> list[dict[str, object]]:
    """Like emojibase's data: roles by three genders and six skin tones, and a few things."""
    found: list[dict[str, object]] = []
    for number, role in enumerate(ROLES):
        for who, code in (("", "1F9D1"), ("man ", "1F468"), ("woman ", "1F469")):
            hexcode = f"{code}-200D-{number:X}F0FF"
            skins = [
                {
                    "label": f"{who}{role}: {name} skin tone",
                    "hexcode": f"{code}-{tone}-200D-{number:X}F0FF",
                    "tone": place + 1,
                }
                for place, (name, tone) in enumerate(zip(NAMES, TONES, strict=True))
            ]
            found.append(
                {
                    "label": who + role,
                    "hexcode": hexcode,
                    "subgroup": 25,
                    "tags": [role, "job", who.strip() or "person"],
                    "skins": skins,
                }
            )
    found.append({"label": "red heart", "hexcode": "2764-FE0F", "subgroup": 14, "tags": ["love"]})
    found.append({"label": "blue heart", "hexcode": "1F499", "subgroup": 14, "tags": ["love"]})
    found.append({"label": "star", "hexcode": "2B50", "subgroup": 14, "tags": ["love"]})
    found.append({"label": "not drawn", "hexcode": "FFFF", "subgroup": 14, "tags": []})
    found.append({"label": "regional indicator A", "hexcode": "1F1E6"})
    return found


def drawing(name: str, vendor: str, side: int = 64) -> bytes:
    """A square of one colour off the diagonal, with a transparent frame."""
    picture = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    colour = tuple(hashlib.sha256(f"{vendor}{name}".encode()).digest()[:3])
    picture.paste((*colour, 255), (16, 8, 48, 40))
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def pack(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three packages in their public layout, with few emoji."""
    folder = tmp_path_factory.mktemp("packages")
    subgroups = {"subgroups": {"25": "person-role", "14": "heart"}}
    pack(
        folder / "emojibase-data.tgz",
        {
            "en/data.json": json.dumps(entries()).encode(),
            "meta/groups.json": json.dumps(subgroups).encode(),
            "LICENSE": b"MIT words",
        },
    )
    codes = [
        str(each["hexcode"])
        for entry in entries()
        for each in (entry, *entry.get("skins", []))  # type: ignore[misc]
        if each["hexcode"] != "FFFF"
    ]
    for vendor in ("google", "twitter"):
        names = [f"{code.lower()}.png" for code in codes]
        # One vendor leaves U+FE0F out of the names of its files.
        shown = {name: name.replace("-fe0f", "") if vendor == "twitter" else name for name in names}
        files = {f"img/{vendor}/64/{shown[name]}": drawing(name, vendor) for name in names}
        files |= {"LICENSE": b"MIT pictures", f"img/{vendor}/sheets/64.png": bytes(200_000)}
        pack(folder / f"emoji-datasource-{vendor}.tgz", files)
    return folder


@pytest.fixture
def fetched(packages: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Serve the packages from `packages`, and note which were asked for."""
    asked: list[str] = []

    def fetch(package: module.Package, folder: Path) -> Path:
        asked.append(package.name)
        return Path(shutil.copy(packages / f"{package.name}.tgz", folder))

    monkeypatch.setattr(module, "fetch", fetch)
    return asked


@pytest.fixture
def data(fetched: list[str], tmp_path: Path) -> EmojiData:
    return EmojiData.load(tmp_path)


def test_fetched_once_then_read_from_the_cache(
    data: EmojiData, fetched: list[str], tmp_path: Path
) -> None:
    assert len(fetched) == 3
    again = EmojiData.load(tmp_path)
    assert len(fetched) == 3
    assert again.emoji == data.emoji
    np.testing.assert_array_equal(again.images, data.images)
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["emoji-1.safetensors", "emoji-licences.txt"]
    assert "MIT pictures" in (tmp_path / "emoji-licences.txt").read_text()


@pytest.mark.parametrize("kept", [0, 7, 1000, -10])
def test_a_damaged_file_is_made_again(
    kept: int, data: EmojiData, fetched: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "emoji-1.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:kept])
    assert len(EmojiData.load(tmp_path)) == len(data)
    assert len(fetched) == 6
    assert path.read_bytes() == content


def test_a_changed_pixel_is_noticed(data: EmojiData, fetched: list[str], tmp_path: Path) -> None:
    path = tmp_path / "emoji-1.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-500] + bytes([content[-500] ^ 1]) + content[-499:])
    np.testing.assert_array_equal(EmojiData.load(tmp_path).images, data.images)
    assert len(fetched) == 6
    assert path.read_bytes() == content


def test_both_vendors_draw_every_emoji(data: EmojiData) -> None:
    drawn = defaultdict(set)
    for emoji, vendor in zip(data.emoji, data.vendors, strict=True):
        drawn[emoji.hexcode].add(vendor)
    assert set(map(frozenset, drawn.values())) == {frozenset(("google", "twitter"))}
    labels = {emoji.label for emoji in data.emoji}
    assert "red heart" in labels
    assert "not drawn" not in labels
    assert len(labels) == len(ROLES) * 3 * 6 + 3 + 1


def test_pictures_lie_on_grey_and_belong_to_their_emoji(data: EmojiData) -> None:
    for row in (0, 50, len(data) - 1):
        name = f"{data.emoji[row].hexcode.lower()}.png"
        colour = hashlib.sha256(f"{data.vendors[row]}{name}".encode()).digest()[:3]
        assert data.images[row, 0, 0].tolist() == [BACKGROUND] * 3
        assert data.images[row, 32, 32].tolist() == list(colour)


def test_a_picture_of_another_size_is_refused(
    packages: Path, fetched: list[str], tmp_path: Path
) -> None:
    other = tmp_path / "packages"
    shutil.copytree(packages, other)
    files = {"img/google/64/1f499.png": drawing("1f499.png", "google", side=65), "LICENSE": b""}
    pack(packages / "emoji-datasource-google.tgz", files)
    try:
        with pytest.raises(InputError, match="'blue heart' has \\(65, 65\\) pixels"):
            EmojiData.load(tmp_path / "cache")
        assert not list((tmp_path / "cache").iterdir())
    finally:
        shutil.copy(other / "emoji-datasource-google.tgz", packages)


def test_held_out_subjects_and_combinations(data: EmojiData) -> None:
    seen: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    subjects: dict[str, set[str]] = defaultdict(set)
    for emoji in data.emoji:
        triple = tuple(
            emoji.values.get(concept, "") for concept in ("subject", "gender", "skin tone")
        )
        seen[emoji.split].add(triple)
        subjects[emoji.split].add(triple[0])
    assert subjects["emoji"]
    assert not subjects["emoji"] & (subjects["train"] | subjects["combination"])
    assert seen["combination"]
    assert not seen["combination"] & seen["train"]
    for subject, gender, tone in seen["combination"]:
        for other in ((subject, gender, None), (subject, None, tone), (None, gender, tone)):
            assert any(
                all(part in (None, have) for part, have in zip(other, triple, strict=True))
                for triple in seen["train"]
            ), other
    combinations = len(subjects["combination"]) * 15
    assert 5 * len(seen["combination"]) == combinations


def test_subsets(data: EmojiData) -> None:
    splits = [data.subset(split=split) for split in ("train", "emoji", "combination")]
    assert sum(map(len, splits)) == len(data)
    google = data.subset(vendor="google", split="combination")
    twitter = data.subset(vendor="twitter", split="combination")
    assert [emoji.label for emoji in google.emoji] == [emoji.label for emoji in twitter.emoji]
    assert not np.array_equal(google.images, twitter.images)
    with pytest.raises(InputError, match="'test'"):
        data.subset(split="test")


def test_choosing_the_caption_family(data: EmojiData) -> None:
    narrowed = data.mentioning([["subject", "gender"], ["gender", "skin tone"]])
    assert {
        caption.concepts for row in range(len(narrowed)) for caption in narrowed.captions_of(row)
    }
    family = narrowed.family()
    assert set(family.captions) == {
        frozenset({"subject", "gender"}),
        frozenset({"gender", "skin tone"}),
    }
    assert family.closure("gender") == {"gender"}
    assert family.closure("subject") == {"subject", "gender"}
    assert all(narrowed.captions_of(row) for row in range(len(narrowed)))
    assert narrowed.subset(split="train").patterns == narrowed.patterns
    for wrong in ([["wings"]], [[]]):
        with pytest.raises(InputError):
            data.mentioning(wrong)


def test_the_family_has_the_weights_that_sampling_has(data: EmojiData) -> None:
    family = data.family()
    batch = data.sample(10 * len(data), seed=0)
    for block, weight in zip(family.captions, family.weights, strict=True):
        pattern = torch.tensor([concept in block for concept in CONCEPTS])
        share = (batch.mentioned == pattern).all(1).double().mean().item()
        # Four standard errors.
        assert abs(share - weight) < 4 * (weight / len(batch.text)) ** 0.5, block


def test_samples_are_a_pure_function_of_seed_and_index(data: EmojiData) -> None:
    whole = data.sample(700, seed=3)
    for start, n in ((0, 5), (289, 20), (650, 50)):
        part = data.sample(n, seed=3, start=start)
        assert part.text == whole.text[start : start + n]
        torch.testing.assert_close(part.image, whole.image[start : start + n])
        assert torch.equal(part.mentioned, whole.mentioned[start : start + n])
        assert torch.equal(part.index, whole.index[start : start + n])
    assert data.sample(20, seed=4).text != whole.text[:20]


def test_an_epoch_shows_every_image_once(data: EmojiData) -> None:
    for epoch in (0, 3):
        index = data.sample(len(data), seed=1, start=epoch * len(data)).index
        assert sorted(index.tolist()) == list(range(len(data)))


def test_batches_say_what_their_captions_mention(data: EmojiData) -> None:
    batch = data.sample(50, seed=0)
    assert batch.image.shape == (50, 3, 64, 64)
    assert batch.image.min() >= -1
    assert batch.image.max() <= 1
    for text, row, mentioned in zip(batch.text, batch.index.tolist(), batch.mentioned, strict=True):
        [caption] = [each for each in data.captions_of(row) if each.text == text]
        assert caption.concepts == {c for c, said in zip(CONCEPTS, mentioned, strict=True) if said}
    torch.testing.assert_close(
        batch.image[0].permute(1, 2, 0),
        torch.from_numpy(data.images[int(batch.index[0])]) / 127.5 - 1,
    )


def test_queries_describe_every_image_that_has_what_they_say(data: EmojiData) -> None:
    texts, describes = data.queries(sources=("label", "part", "tags"))
    assert describes.shape == (len(data), len(texts))
    assert len(set(texts)) == len(texts)
    meanings = defaultdict(list)
    for row in range(len(data)):
        for caption in data.captions_of(row):
            meanings[caption.text].append(caption.values)
    rng = np.random.default_rng(0)
    for column in (texts.index("love"), *rng.choice(len(texts), size=30, replace=False)):
        expected = [
            any(values.items() <= emoji.values.items() for values in meanings[texts[column]])
            for emoji in data.emoji
        ]
        assert describes[:, column].tolist() == expected, texts[column]
    assert describes[:, texts.index("woman judge")].sum() == 2 * 6
    assert describes[:, texts.index("judge")].sum() == 2 * 18
    assert describes[:, texts.index("love")].sum() == 2 * 3  # two hearts and a star
    assert "love" not in data.queries()[0]


def test_queries_may_be_ranked_in_another_gallery(data: EmojiData) -> None:
    held_out = data.subset(split="combination")
    texts, among_all = held_out.queries(("label",), gallery=data)
    same_texts, among_themselves = held_out.queries(("label",))
    assert texts == same_texts
    assert among_all.shape == (len(data), len(texts))
    rows = [row for row, emoji in enumerate(data.emoji) if emoji.split == "combination"]
    assert torch.equal(among_all[rows], among_themselves)


def test_no_data_no_batch(data: EmojiData) -> None:
    with pytest.raises(InputError, match="without images"):
        data.mentioning([["hair"]]).sample(1, seed=0)
    for wrong in ({"n": -1, "seed": 0}, {"n": 1, "seed": -1}, {"n": 1, "seed": 0, "start": -1}):
        with pytest.raises(InputError, match="non-negative"):
            data.sample(**wrong)


def test_without_npm_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"npm was not found.*install Node\.js"):
        EmojiData.load(tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_the_real_packages(tmp_path: Path) -> None:
    data = EmojiData.load(Path(os.environ.get("SMARTCLIP_CACHE", tmp_path)))
    assert len(data) == 2 * 3786
    assert len(data.subset(split="combination", vendor="google")) == 188
    assert len(data.subset(split="emoji", vendor="google")) == 420
    digest = hashlib.sha256(data.images.tobytes()).hexdigest()
    assert digest.startswith("80437643a8ea43ff")
    [firefighter] = [
        emoji
        for emoji in data.subset(vendor="google").emoji
        if emoji.label == "woman firefighter: dark skin tone"
    ]
    assert firefighter.values == {
        "subject": "firefighter",
        "gender": "woman",
        "skin tone": "dark skin tone",
        "kind": "person role",
    }
