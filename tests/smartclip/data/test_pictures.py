import contextlib
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from smartclip.data.pictures import Blob, PictureError, decode, digest, kind, measure


def noise(mode: str = "RGB", side: int = 24) -> Image.Image:
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
    return picture.convert(mode)


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("RGB", "JPEG"),
        ("L", "JPEG"),
        ("CMYK", "JPEG"),
        ("RGB", "PNG"),
        ("RGBA", "PNG"),
        ("LA", "PNG"),
        ("P", "PNG"),
        ("1", "PNG"),
        ("RGB", "WEBP"),
        ("P", "GIF"),
    ],
)
def test_every_mode_becomes_rgb(mode: str, kind: str) -> None:
    found = decode(saved(noise(mode), kind))
    assert found.mode == "RGB"
    assert found.size == (24, 24)


def test_transparent_parts_become_grey() -> None:
    picture = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    picture.putpixel((1, 0), (255, 0, 0, 255))
    found = decode(saved(picture, "PNG"))
    assert [found.getpixel((x, 0)) for x in (0, 1)] == [(216, 216, 216), (255, 0, 0)]


def test_sixteen_bit_greys_keep_their_order() -> None:
    deep = np.array([[0, 256 * 100, 256 * 255]], dtype=np.uint16)
    found = decode(saved(Image.fromarray(deep), "PNG"))
    assert [found.getpixel((x, 0)) for x in range(3)] == [(0,) * 3, (100,) * 3, (255,) * 3]


def test_turned_photographs_are_put_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    wide = Image.new("RGB", (8, 4))
    assert decode(saved(wide, "JPEG", exif=exif)).size == (4, 8)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 0.95])
def test_a_cut_picture_is_corrupt(kind: str, share: float) -> None:
    content = saved(noise(), kind)
    with pytest.raises(PictureError) as caught:
        decode(content[: int(share * len(content))], "cat.jpg")
    assert caught.value.fault == "corrupt"
    assert "cat.jpg" in str(caught.value)


def test_a_bomb_is_refused_by_its_header() -> None:
    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b""))
    with pytest.raises(PictureError) as caught:
        decode(bomb)
    assert caught.value.fault == "too large"
    with pytest.raises(PictureError, match="24 x 24 pixels"):
        decode(saved(noise(), "PNG"), most_pixels=24 * 24 - 1)
    assert decode(saved(noise(), "PNG"), most_pixels=24 * 24)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow mentions damaged EXIF and reads on
@settings(deadline=None, max_examples=200)
@given(st.sampled_from(["JPEG", "PNG", "WEBP", "GIF"]), st.data())
def test_no_damage_gets_through_as_another_error(kind: str, data: st.DataObject) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    options = {"exif": exif} if kind != "GIF" else {}
    content = bytearray(saved(noise(side=12), kind, **options))
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(PictureError):
        assert decode(bytes(content)).mode == "RGB"


def test_blobs_read_their_part_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    assert Blob(path=path).read() == b"0123456789"
    assert Blob(path=path, offset=3, size=4).read() == b"3456"
    with pytest.raises(PictureError) as caught:
        Blob(path=path, offset=8, size=4).read()
    assert caught.value.fault == "corrupt"
    with pytest.raises(PictureError) as caught:
        Blob(path=tmp_path / "gone").read()
    assert caught.value.fault == "missing"


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    blob = Blob(path=path, offset=3, size=4, digest=digest(b"3456"))
    assert blob.read() == b"3456"
    path.write_bytes(b"0123x56789")
    with pytest.raises(PictureError, match="bytes 3 to 7") as caught:
        blob.read()
    assert caught.value.fault == "changed"


def test_a_smaller_decode_is_never_too_small() -> None:
    content = saved(noise(side=400), "JPEG")
    for shorter, side in ((None, 400), (201, 400), (200, 200), (60, 100), (1, 50)):
        assert decode(content, shorter=shorter).size == (side, side)


def test_the_header_tells_the_size() -> None:
    wide = Image.new("RGB", (9, 5))
    content = saved(wide, "PNG")
    assert measure(content[:60]) == (9, 5)
    with pytest.raises(PictureError):
        measure(content[:10])


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("JPEG", "jpg"),
        ("PNG", "png"),
        ("WEBP", "webp"),
        ("GIF", "gif"),
        ("BMP", "bmp"),
        ("TIFF", "tif"),
        ("PPM", "ppm"),
    ],
)
def test_the_first_bytes_tell_the_kind(name: str, ending: str) -> None:
    assert kind(saved(noise(), name)) == ending


@pytest.mark.parametrize("checksum", [0, 1])
def test_a_damaged_exif_chunk_costs_no_sound_picture(checksum: int) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (9, 7), (1, 2, 3)).save(stream, "PNG")
    whole = stream.getvalue()
    body = b"eXIfMM no exif"
    chunk = len(body[4:]).to_bytes(4, "big") + body
    chunk += (zlib.crc32(body) ^ checksum).to_bytes(4, "big")
    content = whole[:33] + chunk + whole[33:]
    assert measure(content) == (9, 7)
    assert decode(content).getpixel((0, 0)) == (1, 2, 3)


def test_no_message_holds_an_address() -> None:
    with pytest.raises(PictureError) as caught:
        decode(b"no picture at all", "a.jpg")
    assert "0x" not in str(caught.value)
