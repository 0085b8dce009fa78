"""The tower of words: what it reads, where it starts, what it refuses."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from smartclip.text import PADDING
from smartclip.towers.words import SHARE, WordConfig, WordTower
from theory.errors import InputError

CONFIG = WordConfig(vocabulary=30, context=6, width=16, hidden=8)


def tower():
    torch.manual_seed(0)
    return WordTower(CONFIG, 40)


def test_padding_says_nothing():
    made = tower()
    code, states = made(torch.tensor([[3, 4, 5, PADDING, PADDING, PADDING]]))
    assert states[0, 3:].abs().sum() == 0
    again, _ = made(torch.tensor([[PADDING, 3, PADDING, 4, 5, PADDING]]))
    torch.testing.assert_close(code, again)


def test_it_starts_as_a_sum_of_words():
    made = tower()

    def code(*words):
        return made(torch.tensor([[*words, *[PADDING] * (6 - len(words))]]))[0]

    torch.testing.assert_close(code(3, 4, 5), code(3) + code(4) + code(5), atol=1e-5, rtol=1e-5)
    torch.nn.init.normal_(made.perceptron[-1].weight)
    assert not torch.allclose(code(3, 4, 5), code(3) + code(4) + code(5), atol=1e-2)


def test_twenty_words_start_with_the_variance_that_a_caption_is_to_explain():
    torch.manual_seed(1)
    made = WordTower(WordConfig(vocabulary=2_000, context=20), 64)
    tokens = torch.randint(3, 2_000, (400, 20), generator=torch.Generator().manual_seed(0))
    code, _ = made(tokens)
    assert code.var(0).mean().item() == pytest.approx(SHARE, rel=0.2)


def test_every_weight_is_reached():
    made = tower()
    torch.nn.init.normal_(made.perceptron[-1].weight)
    code, states = made(torch.randint(3, 30, (5, 6)))
    assert states.shape == (5, 6, made.width)
    code.square().sum().backward()
    assert all(parameter.grad is not None for parameter in made.parameters())


def test_captions_of_another_length_are_refused():
    with pytest.raises(InputError, match=r"captions of 5 tokens.*rows of 6"):
        tower()(torch.zeros(2, 5, dtype=torch.long))


@pytest.mark.parametrize("name", ["vocabulary", "context", "width", "hidden"])
def test_impossible_sizes_are_refused(name):
    with pytest.raises(InputError, match=name):
        WordConfig(**{"vocabulary": 5, "context": 5} | {name: 0})


def test_the_code_stays_on_the_device_of_the_weights():
    with torch.device("meta"):
        made = WordTower(CONFIG, 4)
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        made.to_empty(device="cuda")
        made.standardise(torch.zeros(2, 6, dtype=torch.long, device="cuda"))
        code, states = made(torch.zeros(2, 6, dtype=torch.long, device="cuda"))
    assert {code.device.type, states.device.type} == {"cuda"}


@pytest.mark.gpu
def test_a_gpu_gives_the_code_of_the_cpu():
    made, tokens = tower(), torch.randint(3, 30, (5, 6))
    expected = made(tokens)[0]
    found = made.to("cuda")(tokens.to("cuda"))[0].cpu()
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


def test_a_standardised_code_has_the_mean_and_the_spread_of_a_fresh_one():
    made = tower()
    torch.nn.init.normal_(made.perceptron[-1].weight)
    torch.nn.init.normal_(made.perceptron[-1].bias)
    tokens = torch.randint(3, 30, (300, 6), generator=torch.Generator().manual_seed(1))
    before = made(tokens)[0].detach()
    made.standardise(tokens)
    code = made(tokens)[0].detach()
    assert code.var(0).mean().item() == pytest.approx(SHARE, rel=1e-4)
    centred = before - before.mean(0)
    torch.testing.assert_close(code, centred * (SHARE / before.var(0).mean()).sqrt())
