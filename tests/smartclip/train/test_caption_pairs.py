"""A code of captions learned from pairs: what it learns, what it leaves alone, what it refuses."""

import pytest
import torch
from torch import nn

from smartclip.growth import caption_code
from smartclip.model import SmartCLIP
from smartclip.towers.mlp import MLPConfig, MLPTextTower
from smartclip.towers.words import SHARE, WordConfig, WordTower
from smartclip.train.caption_pairs import learn_captions
from smartclip.train.config import TrainConfig
from theory.errors import InputError

CPU = torch.device("cpu")
VALUES, WORDINGS = 4, 3
METHOD = caption_code(300)
CONFIG = TrainConfig(batch_size=64, learning_rate=1e-2)


class TwoConcepts:
    """Pictures of two concepts; a caption names one of them, with one of several wordings."""

    def pairs(self, step, size, device):
        generator = torch.Generator().manual_seed(step)
        values = torch.randint(VALUES, (size, 2), generator=generator)
        return tuple(self.say(values, generator).to(device) for _ in range(2))

    def batch(self, step, size, device):
        raise AssertionError("no picture is needed")

    def say(self, values, generator):
        rows = torch.arange(len(values))
        concept = torch.randint(2, (len(values),), generator=generator)
        wording = torch.randint(WORDINGS, (len(values),), generator=generator)
        filler = torch.randint(20, (len(values),), generator=generator)
        said = 3 + (concept * VALUES + values[rows, concept]) * WORDINGS + wording
        return torch.stack([said, 3 + 2 * VALUES * WORDINGS + filler], 1)


def model(tower=None):
    torch.manual_seed(0)
    tower = tower or WordTower(WordConfig(vocabulary=60, context=2, width=16, hidden=32), 12)
    return SmartCLIP(nn.Linear(3, 12), tower, width=16, dimension=12)


def learned(folder):
    made = model()
    learn_captions(made, TwoConcepts(), METHOD, CONFIG, folder, quiet=True)
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("captions")


@pytest.fixture(scope="module")
def trained(folder):
    return learned(folder)


def apart(made):
    """Mean squared distance of codes of two values, over that of two wordings of one value."""
    filler = torch.full((VALUES * WORDINGS,), 3 + 2 * VALUES * WORDINGS)
    words = 3 + torch.arange(VALUES * WORDINGS)
    with torch.no_grad():
        code = made.text_tower(torch.stack([words, filler], 1))[0].view(VALUES, WORDINGS, -1)
    within = code.var(1).mean()
    return (code.mean(1).var(0).mean() / within).item()


def test_it_tells_values_apart_and_not_wordings(trained):
    assert apart(model()) < 1
    assert apart(trained) > 5


def test_it_ends_centred_and_with_the_spread_of_a_fresh_tower(trained):
    with torch.no_grad():
        code, _ = trained.text_tower(TwoConcepts().pairs(999, 4_000, CPU)[0])
    assert code.mean(0).abs().max() < 0.05
    assert code.var(0).mean().item() == pytest.approx(SHARE, rel=0.1)


def test_nothing_else_changes(trained):
    before, after = model().state_dict(), trained.state_dict()
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.startswith("text_tower.")}


def test_a_finished_training_is_read_again(trained, folder):
    lines = (folder / "metrics.jsonl").read_text()
    again = learned(folder).state_dict()
    assert all(torch.equal(weight, again[name]) for name, weight in trained.state_dict().items())
    assert (folder / "metrics.jsonl").read_text() == lines


def test_a_source_without_pairs_and_another_tower_are_refused(tmp_path):
    class NoPairs:
        def batch(self, step, size, device):
            raise NotImplementedError

    with pytest.raises(InputError, match=r"NoPairs for a WordTower.*`pairs`"):
        learn_captions(model(), NoPairs(), METHOD, CONFIG, tmp_path)
    other = model(MLPTextTower(3, 12, MLPConfig(width=8, depth=1)))
    with pytest.raises(InputError, match=r"for a MLPTextTower"):
        learn_captions(other, TwoConcepts(), METHOD, CONFIG, tmp_path)


@pytest.mark.gpu
def test_a_gpu_learns_what_a_cpu_does(tmp_path):
    method = METHOD.lasting(20)
    here, there = model(), model().cuda()
    learn_captions(here, TwoConcepts(), method, CONFIG, tmp_path / "cpu", quiet=True)
    learn_captions(there, TwoConcepts(), method, CONFIG, tmp_path / "gpu", quiet=True)
    for name, tensor in here.text_tower.state_dict().items():
        torch.testing.assert_close(
            there.text_tower.state_dict()[name].cpu(), tensor, atol=1e-2, rtol=1e-2, msg=name
        )
