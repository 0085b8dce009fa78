"""Search a function for two points of one image, and for points where its Jacobian loses rank.

For an anchor x, least squares looks for a second point y of the bounding box with g(y) = g(x), from
the nearest images, a random start and the mirror image of x. A search refutes and never proves.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float

from theory.conditions.verdict import Collision, Flat, refuse_infinite
from theory.errors import InputError

Generator = Callable[[Float[np.ndarray, "n d"]], Float[np.ndarray, "n p"]]

ANCHORS = 24


class FoldSearch:
    """Candidates for folds of `generator` in the bounding box of `points`.

    Args:
        generator: [n, d] -> [n, p] in double precision.
        points: samples of the domain [n, d].
        tolerance: images closer than this, relative to their spread, count as equal.
        seed: of the random starts.

    Raises:
        InputError: points or images that are not finite, or fewer than two points.

    >>> points = np.linspace(-1, 1, 50)[:, None]
    >>> collision = next(FoldSearch(np.abs, points).collisions())
    >>> bool(np.isclose(collision.first, -collision.second).all())
    True
    """

    def __init__(
        self,
        generator: Generator,
        points: Float[np.ndarray, "n d"],
        *,
        tolerance: float = 1e-7,
        seed: int = 0,
    ) -> None:
        refuse_infinite(points, "the points")
        if len(points) < 2:
            raise InputError(
                f"{len(points)} points",
                rule="a collision takes two points",
                fix="give more samples",
            )
        self.generator = generator
        self.points = points
        self.tolerance = tolerance
        self.images = generator(points)
        refuse_infinite(self.images, "the generator's values")
        self.spread = float(self.images.std()) or 1.0
        self.rng = np.random.default_rng(seed)
        self.low, self.high = points.min(axis=0), points.max(axis=0)
        self.width = np.maximum(self.high - self.low, 1e-12)
        self.anchors = points[self.rng.permutation(len(points))[:ANCHORS]]

    def collisions(self) -> Iterator[Collision]:
        """Pairs more than 1 % of the box apart whose images agree within the tolerance; lazy."""
        # SciPy's optimisers take a second to load: nothing that only predicts should wait for them.
        from scipy.optimize import least_squares
        from scipy.spatial import KDTree

        tree = KDTree(self.images)
        low, high, width = self.low, self.high, self.width
        middle = (low + high) / 2
        for anchor in self.anchors:
            target = self.generator(anchor[None])[0]
            _, near = tree.query(target, k=min(12, len(self.points)))
            far = [
                i
                for i in np.atleast_1d(near)
                if np.max(np.abs(self.points[i] - anchor) / width) > 0.05
            ]
            starts = [*self.points[far[:3]], self.rng.uniform(low, high), low + high - anchor]

            def miss(
                y: Float[np.ndarray, " d"], target: Float[np.ndarray, " p"] = target
            ) -> Float[np.ndarray, " p"]:
                return (self.generator(y[None])[0] - target) / self.spread

            def slope(y: Float[np.ndarray, " d"]) -> Float[np.ndarray, "p d"]:
                # One call for all columns; steps point inwards, for outside g may not be defined.
                step = 1e-7 * np.where(y < middle, width, -width)
                images = self.generator(np.vstack([y, y + np.diag(step)]))
                return ((images[1:] - images[0]) / step[:, None]).T / self.spread

            for start in starts:
                found = least_squares(
                    miss,
                    np.clip(start, low + 1e-9 * width, high - 1e-9 * width),
                    jac=slope,  # pyright: ignore[reportArgumentType]
                    bounds=(low - 1e-9 * width, high + 1e-9 * width),
                    xtol=1e-14,
                    ftol=1e-14,
                    gtol=1e-14,
                    max_nfev=60,
                )
                distance = float(np.max(np.abs(found.fun)))
                apart = float(np.max(np.abs(found.x - anchor) / width))
                if distance < self.tolerance and apart > 0.01:
                    yield Collision(first=anchor, second=found.x, distance=distance * self.spread)

    def flats(self) -> Iterator[Flat]:
        """Anchors where the smallest singular value of the Jacobian vanishes; lazy."""
        for anchor in self.anchors:
            step = 1e-5 * self.width
            ahead = self.generator(anchor + np.diag(step))
            behind = self.generator(anchor - np.diag(step))
            jacobian = ((ahead - behind) / (2 * step[:, None])).T
            _, values, directions = np.linalg.svd(jacobian * self.width)
            ratio = 0.0 if len(values) < len(anchor) else float(values[-1]) / self.spread
            if ratio < 1e-7:
                yield Flat(
                    point=anchor, direction=directions[-1] * self.width, singular_value=ratio
                )
