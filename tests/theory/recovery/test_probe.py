"""The second opinion learns what is there and nothing else."""

import torch

from theory.recovery.inputs import Inputs
from theory.recovery.probe import Probe
from theory.recovery.samples import Split, standardised


def test_a_mixed_code_is_read_and_noise_is_not() -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(2000, 6, generator=generator, dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(6, 6, generator=generator, dtype=torch.float64)).Q
    code = torch.tanh(z @ turn) @ turn.T + 0.2 * z
    noise = torch.randn(2000, 1, generator=generator, dtype=torch.float64)
    split = Split.of(2000, seed=0, device=z.device)
    targets = standardised(torch.cat([z, noise], 1), split.fit)
    before = torch.random.get_rng_state()
    found = Probe(width=128, steps=600).predict(Inputs.of(code, split), targets, split)
    assert torch.equal(before, torch.random.get_rng_state())
    wanted = targets[split.test]
    scores = 1 - (found - wanted).square().sum(0) / (wanted - wanted.mean(0)).square().sum(0)
    assert scores[:6].min() > 0.95
    assert scores[6] < 0.05
    again = Probe(width=128, steps=600).predict(Inputs.of(code, split), targets, split)
    assert torch.equal(found, again)
