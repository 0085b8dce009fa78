"""Growth: its stages, its channel, and a run that is killed in the middle of it."""

import math
from dataclasses import replace

import pytest
import torch
from smartclip.train.growth import Growth
from smartclip.train.schedule import (
    alignment,
    decorrelation,
    growing,
    holding_text,
    isolating,
    least_opening,
    logit_scale,
    matched_from,
    noisy,
    settling,
)

from simulators import VectorWorld
from smartclip.model import Embeddings, SmartCLIP
from smartclip.towers.mlp import MLPConfig, MLPImageTower, MLPTextTower
from smartclip.train.config import TrainConfig
from smartclip.train.loop import train
from smartclip.train.losses import RECALL, matched_scale, step_loss, through_channel
from smartclip.train.source import WorldSource
from theory import CaptionFamily
from theory.errors import InputError

CONFIG = TrainConfig(
    steps=40,
    refine_steps=8,
    batch_size=16,
    logit_scale=8.0,
    prune_from=0.55,
    prune_until=0.75,
    growth=Growth(),
    log_every=10,
    checkpoint_every=10,
)


def test_precision_rises_while_specialising_and_alignment_with_it():
    scales = [logit_scale(step, CONFIG) for step in range(20)]
    weights = [alignment(step, CONFIG) for step in range(20)]
    assert scales == sorted(scales)
    assert weights == sorted(weights)
    assert scales[0] == scales[10] == 0.5
    assert weights[10] == 0
    assert scales[-1] == pytest.approx(0.5 * 16**0.9)
    assert (logit_scale(20, CONFIG), alignment(20, CONFIG)) == (8.0, 4.0)


def test_the_channel_is_noisy_until_masks_stand_and_the_code_settles_in_its_second_half():
    assert [growing(step, CONFIG) for step in (0, 20, 39, 40)] == [True, True, True, False]
    assert [settling(step, CONFIG) for step in (19, 20, 39, 40)] == [False, True, True, False]
    plain = replace(CONFIG, growth=None)
    assert not any(growing(step, plain) or settling(step, plain) for step in range(48))


def test_decorrelation_falls_when_the_code_settles_and_ends_when_masks_stand():
    assert [decorrelation(step, CONFIG) for step in (0, 19, 20, 39, 40)] == [1, 1, 0.05, 0.05, 0]
    assert decorrelation(0, replace(CONFIG, growth=None)) == 0


def test_groups_are_seen_alone_once_the_code_specialises():
    assert [step for step in range(48) if isolating(step, CONFIG)] == [12, 16, 20, 24, 28, 32, 36]
    never = replace(CONFIG, growth=Growth(isolate_every=None))
    for config in (never, replace(CONFIG, growth=None)):
        assert not any(isolating(step, config) for step in range(48))


def test_without_growth_nothing_changes_before_refining():
    plain = replace(CONFIG, growth=None)
    assert {logit_scale(step, plain) for step in range(40)} == {8.0}
    assert {alignment(step, plain) for step in range(40)} == {0.0}
    assert alignment(40, plain) == plain.refine_alignment


ALIGNED = replace(
    CONFIG,
    hold_text_until=0.1,
    align_until=0.25,
    prune_from=0.25,
    growth=Growth(specialise_from=0.3, matched=True),
)


def test_the_channel_is_clean_while_towers_find_each_other():
    assert [step for step in range(48) if noisy(step, ALIGNED)] == list(range(10, 40))
    least = [matched_from(step, ALIGNED) for step in range(48)]
    assert least == [None] * 12 + [0.5] * 28 + [None] * 8
    assert {matched_from(step, CONFIG) for step in range(48)} == {None}


def test_words_are_held_for_the_first_steps_alone():
    assert [step for step in range(48) if holding_text(step, ALIGNED)] == [0, 1, 2, 3]
    with pytest.raises(InputError, match="hold_text_until"):
        replace(ALIGNED, hold_text_until=0.5)


def embedded(*, residual, opened):
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(500, 6, generator=generator)
    text = image + residual**0.5 * torch.randn(500, 6, generator=generator)
    mask = torch.full((500, 6), opened)
    return Embeddings(image, text, mask, mask)


def test_a_matched_precision_makes_the_residuals_likeliest():
    given = embedded(residual=0.2, opened=0.5)
    opened = torch.rand(500, 6, generator=torch.Generator().manual_seed(1))
    found = matched_scale(given, opened, least=0.5, largest=8.0).item()

    def likelihood(s):
        gap = (given.image - given.text).square()
        return (opened * (0.5 * torch.log(torch.tensor(2 * s)) - s * gap)).sum().item()

    assert found == pytest.approx(2.5, rel=0.1)
    assert max((0.9 * found, found, 1.1 * found), key=likelihood) == found


@pytest.mark.parametrize(("residual", "expected"), [(4.0, 0.5), (1e-4, 8.0), (0.0, 8.0)])
def test_a_matched_precision_stays_within_its_bounds(residual, expected):
    given = embedded(residual=residual, opened=1.0)
    assert matched_scale(given, given.mask, least=0.5, largest=8.0).item() == expected


def test_masks_that_open_nothing_are_no_reason_for_more_precision():
    given = embedded(residual=0.2, opened=0.0)
    assert matched_scale(given, given.mask, least=0.5, largest=8.0).item() == 0.5


def test_the_channel_has_precision_two_s():
    image, noise = (
        torch.zeros(4000, 8),
        torch.randn(4000, 8, generator=torch.Generator().manual_seed(0)),
    )
    assert through_channel(image, 4.0, noise).var().item() == pytest.approx(1 / 8, rel=0.05)


def test_gates_are_kept_open_from_aligned_to_settling():
    kept = replace(ALIGNED, growth=Growth(least_opening=0.05))
    bounds = [least_opening(step, kept) for step in range(48)]
    aligned, settled = (
        next(step for step in range(48) if when(step, kept)) for when in (noisy, settling)
    )
    assert bounds == [None] * aligned + [0.05] * (settled - aligned) + [None] * (48 - settled)
    assert {least_opening(step, CONFIG) for step in range(48)} == {None}


@pytest.mark.parametrize("bound", [None, 0.05])
def test_only_a_gate_below_its_bound_is_drawn_back(bound):
    torch.manual_seed(0)
    size = MLPConfig(width=8, depth=1)
    text = MLPTextTower(5, 3, size)
    model = SmartCLIP(MLPImageTower(7, 3, size), text, width=text.width, dimension=3, budget=False)
    logits = torch.tensor([-12.0, -0.5, 2.0]).repeat(16, 1).requires_grad_()
    features = model.embed(torch.randn(16, 7), torch.randn(16, 5))._replace(mask_logits=logits)
    kept = replace(
        ALIGNED, sparsity=0.0, budget=0.0, growth=Growth(least_opening=bound, isolate_every=None)
    )
    step = 16
    assert noisy(step, kept)
    loss = step_loss(model, features, kept, step, torch.Generator().manual_seed(0)).loss
    (slope,) = torch.autograd.grad(loss, logits)
    drawn = slope.sum(0)
    plain = step_loss(
        model,
        features,
        replace(kept, growth=replace(kept.growth, least_opening=None)),
        step,
        torch.Generator().manual_seed(0),
    ).loss
    missing = 0.0 if bound is None else 12 - math.log(0.95 / 0.05)
    assert loss.item() - plain.item() == pytest.approx(RECALL * missing**2, abs=1e-4)
    assert drawn[0].item() == pytest.approx(-2 * RECALL * missing, abs=1e-3)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"specialise_from": 0.6}, "settle_from"),
        ({"explore_logit_scale": 0.0}, "explore_logit_scale"),
        ({"alignment": -1.0}, "alignment"),
        ({"least_opening": 1.0}, "least_opening"),
        ({"isolate_every": 0}, "isolate_every"),
    ],
)
def test_impossible_stages_are_refused(given, named):
    with pytest.raises(InputError, match=named):
        Growth(**given)


def test_growth_is_for_the_likelihood_ratio():
    with pytest.raises(InputError, match="growth"):
        replace(CONFIG, similarity="cosine")


def test_a_run_killed_while_settling_goes_on_with_the_same_numbers(tmp_path):
    class Killed(Exception):
        pass

    class Dying(WorldSource):
        def batch(self, step, size, device):
            if step == 33:
                raise Killed
            return super().batch(step, size, device)

    world = VectorWorld(CaptionFamily.from_captions([["a", "b"], ["b", "c"]]))

    def fresh():
        torch.manual_seed(0)
        config = MLPConfig(width=8, depth=1)
        text = MLPTextTower(world.text_dimension, 6, config, state_width=8)
        image = MLPImageTower(world.image_dimension, 6, config)
        return SmartCLIP(image, text, width=text.width, dimension=6, heads=2)

    whole = train(fresh(), WorldSource(world, seed=1), CONFIG, tmp_path / "whole", quiet=True)
    with pytest.raises(Killed):
        train(fresh(), Dying(world, seed=1), CONFIG, tmp_path / "cut", quiet=True)
    resumed = train(fresh(), WorldSource(world, seed=1), CONFIG, tmp_path / "cut", quiet=True)
    expected, found = whole.state_dict(), resumed.state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
