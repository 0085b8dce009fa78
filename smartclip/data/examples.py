"""What every reader gives: pictures with all their captions, and what could not be read."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath

from PIL import Image

from smartclip.data.pictures import MOST_PIXELS, Fault, Stored, decode


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One picture and its captions.

    Attributes:
        name: as the data set calls it.
        captions: all of them, at least one, none empty.
        image: where the picture's bytes are.
    """

    name: str
    captions: tuple[str, ...]
    image: Stored

    def picture(self, most_pixels: int = MOST_PIXELS) -> Image.Image:
        """The picture in RGB; raises `PictureError` with its fault."""
        return decode(self.image.read(), self.name, most_pixels)


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Something that could not be used, and why.

    Pictures found = pictures used + the sum of `pictures` over all problems, and captions likewise.

    Attributes:
        name: of the record, member or line.
        fault: what kind of problem.
        detail: in words.
        pictures: how many pictures are left out for it, each counted at one problem only. A picture
            is found if the data set holds it or names it.
        captions: how many captions are left out for it; a blank one is none.
    """

    name: str
    fault: Fault
    detail: str
    pictures: int = 1
    captions: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageText:
    """A data set as it lies on the disk.

    Attributes:
        source: the file or folder it was read from.
        examples: in the order of the data set; large ones as `Records`.
        problems: records that were left out, each with its reason.
    """

    source: str
    examples: Sequence[Example]
    problems: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        return len(self.examples)

    def __iter__(self) -> Iterator[Example]:
        return iter(self.examples)

    def part(self, start: int, stop: int) -> Sequence[Example]:
        """Examples start, ..., stop - 1; fewer at the end."""
        return self.examples[start:stop]

    def fingerprint(self) -> str:
        """32 digits that change with any name or caption, or their order."""
        state = hashlib.blake2b(digest_size=16)
        for example in self.examples:
            state.update(repr((example.name, example.captions)).encode(errors="backslashreplace"))
        return state.hexdigest()

    def faults(self) -> Counter[Fault]:
        """How many problems of each kind."""
        return Counter(problem.fault for problem in self.problems)

    @property
    def pictures_found(self) -> int:
        """Pictures that the data set holds or names: those used and those left out."""
        return len(self) + sum(problem.pictures for problem in self.problems)


def is_inside(name: str) -> bool:
    """A relative name that does not climb out of its folder, on any system.

    >>> is_inside("a/b.jpg"), is_inside("../b.jpg"), is_inside("/b.jpg"), is_inside("C:/b.jpg")
    (True, False, False, False)
    """
    if name and name[0] not in "/\\" and ".." not in name and ":" not in name:
        return True  # nearly every name, and the rest takes longer
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    absolute = posix.is_absolute() or windows.drive or windows.root
    return bool(name) and not absolute and ".." not in (*posix.parts, *windows.parts)
