"""The Gacs-Koerner common part of two blocks: what can be computed from either of them.

3.11, derived here, after Gacs and Koerner 1973. Link two rows where they agree in the first block
or in the second; the common part is the component. A coordinate open in two captions is a function
of both blocks, so it is constant on components, whatever the support of z is.
"""

from collections.abc import Hashable, Sequence

import networkx as nx
import numpy as np
from jaxtyping import Int, Shaped


def common_part(
    rows: Shaped[np.ndarray, "n d"], first: Sequence[int], second: Sequence[int]
) -> Int[np.ndarray, " n"]:
    """The component of each row: 0, 1, ... in the order of their first row.

    Args:
        rows: the values of discrete latents that occur, one row a combination [n, d].
        first: the columns of one block.
        second: the columns of the other.

    >>> product = np.array([[a, n, b] for a in (0, 1) for n in (0, 1) for b in (0, 1)])
    >>> common_part(product, [0, 1], [1, 2]).tolist() == product[:, 1].tolist()
    True
    >>> one_sign = product[product[:, 0] == product[:, 2]]  # a and b always agree
    >>> common_part(one_sign, [0, 1], [1, 2]).tolist()
    [0, 1, 2, 3]
    """
    graph: nx.Graph[Hashable] = nx.Graph()
    ends = [
        (("first", *row[list(first)].tolist()), ("second", *row[list(second)].tolist()))
        for row in rows
    ]
    graph.add_edges_from(ends)
    number: dict[Hashable, int] = {}
    for index, part in enumerate(nx.connected_components(graph)):
        number.update(dict.fromkeys(part, index))
    found = [number[one] for one, _ in ends]
    order = {component: index for index, component in enumerate(dict.fromkeys(found))}
    return np.array([order[component] for component in found])
