"""The short way against the whole attention."""

import torch
from torch import nn

from smartclip.masks import MaskNetwork
from smartclip.single_token import attention_to_itself


def states_of_one_token():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, 1, 8, dtype=torch.float64, generator=generator)


def test_it_is_the_attention():
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(8, 2, batch_first=True).double()
    nn.init.normal_(attention.in_proj_bias)
    states = states_of_one_token()
    whole, _ = attention(states, states, states)
    torch.testing.assert_close(attention_to_itself(attention, states), whole)


def test_a_mask_network_reads_an_only_token_as_any_other():
    torch.manual_seed(0)
    network = MaskNetwork(8, 5, heads=2).double()
    nn.init.normal_(network.score.weight)
    alone = torch.zeros(4, 1, dtype=torch.bool)  # without it the shorter way is taken
    found = []
    for padding in (None, alone):
        network.zero_grad()
        logits = network(states_of_one_token(), padding)
        logits.square().sum().backward()
        found.append([logits.detach(), *(p.grad.clone() for p in network.parameters())])
    assert found[0][0].abs().sum() > 0
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
