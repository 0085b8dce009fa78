import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet

from simulators import DigitWorld, SceneWorld, VectorWorld
from simulators.export import export
from simulators.reading import read_scene
from theory.captions import CaptionFamily
from theory.errors import InputError

FAMILY = CaptionFamily.from_captions([["a", "b"], ["b", "c"]], sizes={"b": 2}, weights=[1, 3])


def contents(path):
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar.getmembers()}


def test_scenes_come_back_as_they_were(tmp_path):
    world = SceneWorld()
    written = export(world, tmp_path, samples=10, seed=3, samples_per_shard=6, captions_per_image=2)
    assert [path.name for path in written.shards] == ["000000.tar", "000001.tar"]
    files = [contents(path) for path in written.shards]
    assert [len(names) for names in files] == [18, 12]
    batch, second = world.sample(10, seed=3), world.sample(10, seed=3, draw=1)
    for i in range(10):
        names = files[i // 6]
        picture = np.asarray(Image.open(io.BytesIO(names[f"{i:09d}.png"]))) / 255
        np.testing.assert_allclose(
            picture.transpose(2, 0, 1), batch.image[i].numpy(), atol=0.51 / 255
        )
        assert names[f"{i:09d}.txt"].decode() == batch.text[i]
        truth = json.loads(names[f"{i:09d}.json"])
        texts = truth["captions"]
        assert texts == [batch.text[i], second.text[i]]
        assert truth["caption_index"] == [batch.caption[i], second.caption[i]]
        np.testing.assert_array_equal(truth["z"], batch.z[i].numpy())
        for text, mentioned in zip(texts, truth["mentions"], strict=True):
            assert set(read_scene(text)) == set(mentioned)
    family = json.loads(written.family.read_text())
    assert family["concepts"] == list(world.family.concepts)
    assert sum(family["weights"]) == pytest.approx(1)


def test_vectors_and_digits(tmp_path):
    export(VectorWorld(FAMILY), tmp_path / "v", samples=3, seed=0, captions_per_image=2)
    names = contents(tmp_path / "v" / "000000.tar")
    batch = VectorWorld(FAMILY).sample(3, seed=0)
    image = np.load(io.BytesIO(names["000000001.npy"]), allow_pickle=False)
    np.testing.assert_allclose(image, batch.image[1].numpy(), rtol=1e-6)
    text = np.load(io.BytesIO(names["000000001.text.npy"]), allow_pickle=False)
    assert text.shape == (2, batch.text.shape[1])
    rebuilt = json.loads((tmp_path / "v" / "family.json").read_text())
    again = CaptionFamily.from_captions(
        rebuilt["captions"],
        weights=rebuilt["weights"],
        concepts=rebuilt["concepts"],
        sizes=dict(zip(rebuilt["concepts"], rebuilt["sizes"], strict=True)),
    )
    assert again == FAMILY
    export(DigitWorld(), tmp_path / "d", samples=2, seed=0)
    assert Image.open(
        io.BytesIO(contents(tmp_path / "d" / "000000.tar")["000000000.png"])
    ).size == (
        20,
        20,
    )


def test_parquet_comes_back_as_it_was(tmp_path):
    world = SceneWorld()
    written = export(
        world,
        tmp_path,
        samples=7,
        seed=3,
        layout="parquet",
        samples_per_shard=4,
        captions_per_image=2,
    )
    assert [path.name for path in written.shards] == ["000000.parquet", "000001.parquet"]
    rows = [row for path in written.shards for row in parquet.read_table(path).to_pylist()]
    batch, second = world.sample(7, seed=3), world.sample(7, seed=3, draw=1)
    assert [row["index"] for row in rows] == list(range(7))
    for i, row in enumerate(rows):
        picture = np.asarray(Image.open(io.BytesIO(row["image"]["bytes"]))) / 255
        np.testing.assert_allclose(
            picture.transpose(2, 0, 1), batch.image[i].numpy(), atol=0.51 / 255
        )
        assert row["captions"] == [batch.text[i], second.text[i]]
        assert row["caption_index"] == [batch.caption[i], second.caption[i]]
        assert [set(mentioned) for mentioned in row["mentions"]] == [
            set(read_scene(text)) for text in row["captions"]
        ]
        np.testing.assert_array_equal(row["z"], batch.z[i].numpy())
        np.testing.assert_array_equal(np.float32(row["image_noise"]), batch.image_noise[i].numpy())
    family = json.loads(parquet.read_schema(written.shards[0]).metadata[b"family"])
    assert family == json.loads(written.family.read_text())


def test_vectors_in_parquet(tmp_path):
    world = VectorWorld(FAMILY)
    written = export(world, tmp_path, samples=300, seed=0, layout="parquet")
    table = parquet.read_table(written.shards[0]).to_pydict()
    batch = world.sample(300, seed=0)
    np.testing.assert_allclose(np.float32(table["image"]), batch.image.numpy(), rtol=1e-6)
    np.testing.assert_allclose(np.float32(table["captions"])[:, 0], batch.text.numpy(), rtol=1e-6)


@pytest.mark.parametrize("layout", ["webdataset", "parquet"])
def test_the_same_export_has_the_same_bytes(tmp_path, layout):
    first, second = (
        export(DigitWorld(), tmp_path / name, samples=5, seed=1, layout=layout).shards[0]
        for name in ("one", "two")
    )
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("bad", ["samples", "samples_per_shard", "captions_per_image"])
def test_bad_counts_are_refused(tmp_path, bad):
    counts = {"samples": 1, "samples_per_shard": 1, "captions_per_image": 1} | {bad: 0}
    with pytest.raises(InputError, match=bad):
        export(DigitWorld(), tmp_path, seed=0, **counts)
