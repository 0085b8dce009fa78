"""Isolation: what a group of coordinates earns when nothing else is seen.

    w L_modular(m v),    v_k = 1 if m_k(t) = m_a(t) for nearly all captions t of the batch,

the loss of one group, the coordinates that open in the same captions as a coordinate a drawn at
random. A contrastive loss saturates at log B: once a long caption tells the batch apart by its
common concepts, its rare ones earn nothing and fade, and prefix chains lose their last concept.
By itself every group is far from saturation, whatever else its captions say. By the statements a
group is a block of the lattice, so nothing else is asked of a code than was asked before. Dropping
coordinates one by one would not do: a copy then earns whenever its original is dropped, whereas
here copies, which open together, are seen together. Derived and tried here.

The loss of a group that only few captions open is small, since those captions alone add to it. The
weight w, of at most MOST_WEIGHT, makes up for that.
"""

from jaxtyping import Float
from torch import Tensor

# Captions of a batch in which two coordinates of one group may differ: gates err while they learn.
TOLERANCE = 0.05
# A group of one caption in a hundred is as likely an accident as a concept.
MOST_WEIGHT = 5.0


def isolated(
    open_probability: Float[Tensor, "B D"], order: Float[Tensor, " D"], *, unused: bool
) -> tuple[Float[Tensor, " D"], Float[Tensor, ""]]:
    """v and w = min(MOST_WEIGHT, B / captions that open the group).

    Args:
        open_probability: E m^(t).
        order: numbers drawn at random, all different: a is the coordinate with the largest.
        unused: whether a may be a coordinate that no caption opens. The coordinates that are
            closed for all then learn what each would earn in an otherwise empty mask, so that one
            that was closed by mistake can open again.

    >>> opened = torch.tensor([[0.9, 0.8, 0.1], [0.1, 0.2, 0.9], [0.2, 0.3, 0.9]])
    >>> isolated(opened, torch.tensor([0.5, 0.1, 0.2]), unused=False)
    (tensor([1., 1., 0.]), tensor(3.))
    """
    opened = (open_probability.detach() > 0.5).to(open_probability.dtype)
    if not unused:
        order = order + opened.amax(0)  # drawn from [0, 1): whatever is in use comes first
    anchor = (order == order.max()).to(opened.dtype)
    differing = (opened - (opened * anchor).sum(1, keepdim=True)).abs().mean(0)
    group = (differing <= TOLERANCE).to(opened.dtype)
    captions = (opened * group).amax(1).sum()
    return group, (len(opened) / captions.clamp_min(1)).clamp_max(MOST_WEIGHT)
