from pathlib import Path

import numpy as np
import pytest

from simulators import DigitWorld, VectorWorld
from simulators.export import export
from smartclip.data.drawn import read_digits, read_emoji, read_world
from smartclip.data.emoji import Emoji, EmojiData
from theory import CaptionFamily
from theory.errors import InputError


def test_digits_are_those_of_the_world() -> None:
    data = read_digits(5, seed=3)
    batch = DigitWorld().sample(5, seed=3)
    assert [example.captions for example in data] == [(text,) for text in batch.text]
    for example, image in zip(data, batch.image, strict=True):
        levels = np.asarray(example.picture())[..., 0]
        assert np.abs(levels / 255 - image[0].numpy()).max() < 0.003


def test_emoji_keep_all_their_captions(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"subject": "firefighter", "gender": "woman"}
    emoji = Emoji(
        hexcode="1F469-200D-1F692",
        label="woman firefighter",
        values=values,
        tags=("fire", "truck"),
        split="train",
    )
    images = np.full((2, 64, 64, 3), 7, dtype=np.uint8)
    loaded = EmojiData(emoji=(emoji, emoji), vendors=("google", "twitter"), images=images)
    monkeypatch.setattr(EmojiData, "load", lambda cache: loaded)
    data = read_emoji()
    assert [example.name for example in data] == [
        "google/1F469-200D-1F692",
        "twitter/1F469-200D-1F692",
    ]
    assert "woman firefighter" in data.examples[0].captions
    assert len(data.examples[0].captions) > 1
    assert data.examples[1].picture().getpixel((3, 3)) == (7, 7, 7)


@pytest.mark.parametrize("layout", ["webdataset", "parquet"])
def test_exported_worlds_come_back(layout: str, tmp_path: Path) -> None:
    world = DigitWorld()
    export(
        world,
        tmp_path,
        samples=5,
        seed=1,
        layout=layout,  # pyright: ignore[reportArgumentType]
        samples_per_shard=3,
        captions_per_image=2,
    )
    data = read_world(tmp_path)
    batches = [world.sample(5, seed=1, draw=draw) for draw in range(2)]
    assert not data.problems
    for row, example in enumerate(data):
        assert example.captions == tuple(dict.fromkeys(batch.text[row] for batch in batches))
        levels = np.asarray(example.picture())[..., 0]
        assert np.abs(levels / 255 - batches[0].image[row][0].numpy()).max() < 0.003


@pytest.mark.parametrize("layout", ["webdataset", "parquet"])
def test_worlds_of_vectors_are_refused(layout: str, tmp_path: Path) -> None:

    world = VectorWorld(CaptionFamily.from_captions([["a"], ["a", "b"]]))
    export(world, tmp_path, samples=2, seed=0, layout=layout)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match=r"vectors|captions in words"):
        read_world(tmp_path)


def test_folders_that_are_no_world(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="family"):
        read_world(tmp_path)
