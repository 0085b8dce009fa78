import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Int
from PIL import Image
from torch import Tensor

from smartclip.data.crop import Crop
from smartclip.data.examples import Example, ImageText
from smartclip.data.pictures import Blob, PictureError
from smartclip.data.records import Records
from smartclip.data.sentences import sentences
from smartclip.data.stream import StreamSource
from smartclip.text import CLIPTokenizer
from smartclip.train.source import Source
from theory.errors import InputError

CPU = torch.device("cpu")
COUNT = 23
CROP = Crop(pixels=8, cut="random", mirror=0.5)


def letters(captions: Sequence[str]) -> Int[Tensor, "b 40"]:
    """A tokenizer for tests: the letters, cut at 40."""
    rows = [list(caption.encode()[:40].ljust(40)) for caption in captions]
    return torch.tensor(rows, dtype=torch.int64).reshape(-1, 40)


@pytest.fixture
def data(tmp_path: Path) -> ImageText:
    rng = np.random.default_rng(0)
    examples = []
    for row in range(COUNT):
        path = tmp_path / f"{row}.png"
        Image.fromarray(rng.integers(0, 256, (12, 10, 3), dtype=np.uint8)).save(path)
        captions = (f"{row} a. {row} b. {row} c.", f"{row} d. {row} e.")
        examples.append(Example(name=path.name, captions=captions, image=Blob(path=path)))
    return ImageText(source="test", examples=Records.of(examples))


def batches(source: StreamSource, steps: Sequence[int], size: int = 4) -> list[torch.Tensor]:
    """Each step's images and tokens in one tensor."""
    with source:
        pairs = [source.batch(step, size, CPU) for step in steps]
    return [torch.cat([image.flatten(1), tokens.float()], 1) for image, tokens in pairs]


def test_it_is_a_source(data: ImageText) -> None:
    with StreamSource(data, letters, seed=0, crop=CROP) as source:
        assert isinstance(source, Source)
        images, tokens = source.batch(0, 4, CPU)
    assert images.shape == (4, 3, 8, 8)
    assert images.dtype == torch.float32
    assert tokens.shape == (4, 40)


@pytest.mark.parametrize("ahead", [0, 3])
@pytest.mark.parametrize("workers", [1, 3])
def test_a_step_is_a_pure_function(data: ImageText, ahead: int, workers: int) -> None:
    def source() -> StreamSource:
        return StreamSource(
            data, letters, seed=5, crop=CROP, policy="subset", ahead=ahead, workers=workers
        )

    through = batches(source(), range(12))
    plain = batches(
        StreamSource(data, letters, seed=5, crop=CROP, policy="subset", ahead=0, workers=1),
        range(12),
    )
    resumed = batches(source(), range(7, 12))
    jumping = batches(source(), [9, 2, 2, 11, 0])
    for step in range(12):
        assert through[step].equal(plain[step])
    for step, found in zip(range(7, 12), resumed, strict=True):
        assert through[step].equal(found)
    for step, found in zip([9, 2, 2, 11, 0], jumping, strict=True):
        assert through[step].equal(found)
    other = batches(StreamSource(data, letters, seed=6, crop=CROP, policy="subset"), range(3))
    assert not any(through[step].equal(other[step]) for step in range(3))


@pytest.mark.parametrize("ranks", [2, 3])
def test_the_ranks_together_see_what_one_process_sees(data: ImageText, ranks: int) -> None:
    whole = batches(
        StreamSource(data, letters, seed=1, crop=CROP, policy="single"), range(9), size=6
    )
    parts = [
        batches(
            StreamSource(data, letters, seed=1, crop=CROP, policy="single", rank=rank, ranks=ranks),
            range(9),
            size=6 // ranks,
        )
        for rank in range(ranks)
    ]
    for step in range(9):
        assert torch.cat([part[step] for part in parts]).equal(whole[step])


def test_an_epoch_shows_every_picture_once_but_the_rest(data: ImageText) -> None:
    with StreamSource(data, letters, seed=0, crop=CROP) as source:
        assert source.steps_per_epoch(4) == COUNT // 4
        orders = []
        for epoch in range(3):
            steps = range(epoch * 5, epoch * 5 + 5)
            rows = np.concatenate([source.rows(step, 4) for step in steps])
            assert len(set(rows.tolist())) == 20
            orders.append(rows.tolist())
        assert sorted(source.rows(4, COUNT).tolist()) == list(range(COUNT))
    assert orders[0] != orders[1] != orders[2]


def test_images_and_captions_belong_together(data: ImageText) -> None:
    """The picture of each row is the one that its caption names."""
    crop = Crop(pixels=12, cut="squash")
    with StreamSource(data, letters, seed=3, crop=crop) as source:
        for step in range(5):
            images, tokens = source.batch(step, 4, CPU)
            rows = source.rows(step, 4)
            told = source.captions(step, 4)
            for place, row in enumerate(rows.tolist()):
                assert told[place] in data.examples[row].captions
                assert tokens[place].equal(letters([told[place]])[0])
                with Image.open(data.examples[row].image.path) as picture:
                    expected = np.asarray(picture.resize((12, 12), Image.Resampling.BICUBIC))
                levels = images[place] * torch.tensor(source.std)[:, None, None]
                levels = 255 * (levels + torch.tensor(source.mean)[:, None, None])
                found = levels.permute(1, 2, 0).round().int().numpy()
                assert np.abs(found - expected).max() <= 2


def test_all_captions_of_a_picture_come_in_turn(data: ImageText) -> None:
    with StreamSource(data, letters, seed=0, crop=CROP) as source:
        seen = {caption for step in range(60) for caption in source.captions(step, 4)}
    assert seen == {caption for example in data for caption in example.captions}


def test_the_published_prefixes(data: ImageText) -> None:
    with StreamSource(
        data, letters, seed=0, crop=CROP, policy="prefix", split="published"
    ) as source:
        seen = {caption for step in range(400) for caption in source.captions(step, 4)}
    parts = [sentences(c, "published") for e in data for c in e.captions]
    assert seen == {". ".join(each[:count]) for each in parts for count in range(1, len(each) + 1)}


def test_padded_captions_are_whole_behind_different_paddings(data: ImageText) -> None:
    tokenizer = CLIPTokenizer(context=40)
    free = set()
    with StreamSource(data, tokenizer.tokenise, seed=0, crop=CROP, policy="padded") as source:
        for step in range(8):
            _, tokens = source.batch(step, 4, CPU)
            expected = tokenizer.tokenise(source.captions(step, 4))
            for row, whole in zip(tokens, expected, strict=True):
                assert row[row > 0].tolist() == whole[whole > 0].tolist()
                assert row[0] == tokenizer.start
                free.add(int(row.argmax()) - int(whole.argmax()))
    assert min(free) >= 0
    assert len(free) > 8


def test_debias_has_the_whole_caption_and_a_padded_sample_of_it(data: ImageText) -> None:
    tokenizer = CLIPTokenizer(context=40)
    letter = {int(tokenizer.tokenise([each])[0, 1]): each for each in "abcde"}
    seen = set()
    with StreamSource(
        data, tokenizer.tokenise, seed=0, crop=CROP, policy="debias", short_captions=True
    ) as source:
        for step in range(40):
            _, tokens = source.batch(step, 4, CPU)
            assert torch.equal(tokens[:, 0], tokenizer.tokenise(source.captions(step, 4)))
            for long, short in tokens.tolist():
                whole, sample = (
                    "".join(letter.get(each, "") for each in row) for row in (long, short)
                )
                seen.add((whole, sample))
                assert short[0] == tokenizer.start
                assert max(short) == tokenizer.end
    # Never the first sentence, the others in any order.
    assert seen == {("abc", sample) for sample in ("b", "c", "bc", "cb")} | {("de", "e")}


def test_a_bad_picture_is_an_error_that_names_it(data: ImageText, tmp_path: Path) -> None:
    (tmp_path / "7.png").unlink()
    with pytest.raises(PictureError, match=r"7\.png"):
        batches(StreamSource(data, letters, seed=0, crop=CROP), range(6))


def test_bad_pictures_are_passed_over_when_asked_counted_and_logged(
    data: ImageText, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "7.png").unlink()
    (tmp_path / "8.png").write_bytes(b"no picture")

    def source(**settings: int) -> StreamSource:
        return StreamSource(data, letters, seed=0, crop=CROP, skip=True, **settings)

    with caplog.at_level(logging.WARNING), source() as skipping:
        through = [skipping.batch(step, 4, CPU) for step in range(15)]
        assert dict(skipping.left_out) == {"missing": 1, "corrupt": 1}
        assert len(skipping.problems) == 2
    assert "7.png" in caplog.text
    assert "8.png" in caplog.text
    # What takes its place does not depend on what was found out before.
    for step in range(3, 15):
        (found,) = batches(source(ahead=0), [step])
        image, tokens = through[step]
        assert torch.cat([image.flatten(1), tokens.float()], 1).equal(found)
    names = {bytes(row.tolist()).decode().split()[0] for _, tokens in through for row in tokens}
    assert not {"7", "8"} & names


def test_data_without_any_usable_picture_are_an_error(data: ImageText, tmp_path: Path) -> None:
    for path in tmp_path.glob("*.png"):
        path.unlink()
    with (
        StreamSource(data, letters, seed=0, crop=CROP, skip=True) as source,
        pytest.raises(InputError, match="without a usable picture"),
    ):
        source.batch(0, 4, CPU)


def test_no_more_batches_are_held_than_asked_for(data: ImageText) -> None:
    with StreamSource(data, letters, seed=0, crop=CROP, ahead=2) as source:
        for step in range(8):
            source.batch(step, 4, CPU)
            assert list(source._coming) == [step + 1, step + 2]
        source.batch(30, 4, CPU)
        assert list(source._coming) == [31, 32]
        source.batch(30, 2, CPU)
        assert list(source._coming) == [31, 32]


@pytest.mark.slow
def test_processes_give_what_threads_give(data: ImageText) -> None:
    threads = batches(StreamSource(data, letters, seed=2, crop=CROP), range(4))
    processes = batches(StreamSource(data, letters, seed=2, crop=CROP, processes=True), range(4))
    for one, other in zip(threads, processes, strict=True):
        assert one.equal(other)


@pytest.mark.gpu
def test_batches_on_a_gpu_are_those_on_the_cpu(data: ImageText) -> None:
    with StreamSource(data, letters, seed=2, crop=CROP) as source:
        for step in range(3):
            on_cpu = source.batch(step, 4, CPU)
            for one, other in zip(on_cpu, source.batch(step, 4, torch.device("cuda")), strict=True):
                assert other.device.type == "cuda"
                torch.testing.assert_close(other.cpu(), one)


def test_wrong_numbers_are_refused(data: ImageText) -> None:
    for wrong in ({"rank": 2, "ranks": 2}, {"workers": 0}, {"ahead": -1}, {"rank": -1}):
        with pytest.raises(InputError, match="ranks count from 0"):
            StreamSource(data, letters, seed=0, **wrong)
    with pytest.raises(InputError, match="training needs pictures"):
        StreamSource(ImageText(source="none", examples=()), letters, seed=0)
    with (
        StreamSource(data, letters, seed=0, crop=CROP) as source,
        pytest.raises(InputError, match="no picture twice"),
    ):
        source.batch(0, COUNT + 1, CPU)
