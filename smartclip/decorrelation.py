"""Decorrelation: what a coordinate may not say again.

    R(z^_I) = sum_{k < l} Cov(z^_k, z^_l)^2        over the images of a batch

A contrastive loss is as well served by a second look at a concept that every caption mentions (a
copy, or a curved function of it) as by a first look at one that few captions mention. With d^ > d
the common concepts then take all coordinates, and the rare ones are never coded: the star {0, k}
loses every k. A copy is correlated with its original, so where R is small every coordinate has to
bring something of its own, and all concepts get their place. The penalty is that of Barlow Twins
(Zbontar et al., ICML 2021) and VICReg (Bardes et al., ICLR 2022); its use here is derived here.

It is a scaffold, not a condition. Concepts may depend on each other (C2), and then the code that
is sought is correlated: the weight has to fall once concepts have their coordinates.
"""

from jaxtyping import Float
from torch import Tensor


def decorrelation(image: Float[Tensor, "B D"]) -> Float[Tensor, ""]:
    """R(z^_I) for coordinates of unit variance, on the device of `image`.

    >>> z = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> decorrelation(z).item(), decorrelation(z[:, [0, 0]]).item()
    (0.0, 1.0)
    """
    centred = image - image.mean(0)
    covariance = centred.mT @ centred / len(image)
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / 2
