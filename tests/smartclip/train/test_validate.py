import pytest
import torch

from smartclip.model import SmartCLIP
from smartclip.objective import modular_contrastive_loss, similarity_matrix
from smartclip.towers.mlp import MLPConfig, MLPImageTower, MLPTextTower
from smartclip.train.execution import ExecutionConfig
from smartclip.train.parallel import Towers
from smartclip.train.validate import Validation, validate
from theory.errors import InputError


class Fixed:
    def __init__(self, images, tokens):
        self.images, self.tokens = images, tokens

    def batch(self, step, size, device):
        return self.images, self.tokens


def small():
    torch.manual_seed(0)
    config = MLPConfig(width=8, depth=1)
    text = MLPTextTower(3, 6, config, state_width=8)
    image = MLPImageTower(3, 6, config)
    model = SmartCLIP(image, text, width=text.width, dimension=6, heads=2)
    torch.nn.init.normal_(model.mask_network.score.weight)
    torch.nn.init.constant_(model.mask_network.score.bias, 1.0)
    return model.double().train()


@pytest.mark.parametrize("rows", [1, 5, 100])
def test_it_is_the_loss_and_the_first_places_of_the_whole_matrix(rows):
    model = small()
    images = torch.randn(24, 3, dtype=torch.float64)
    source = Fixed(images, images + 0.5 * torch.randn_like(images))
    validation = Validation(source=source, size=24, rows_at_a_time=rows)
    towers = Towers(model, ExecutionConfig(), seed=0)
    found = validate(towers, validation, logit_scale=2.0, similarity="likelihood_ratio")
    assert model.training
    model.eval()
    image, text, mask, _ = model(source.images, source.tokens)
    scores = similarity_matrix(image, text, mask, 2.0, similarity="likelihood_ratio")
    loss = modular_contrastive_loss(image, text, mask, 2.0, similarity="likelihood_ratio")
    right = torch.arange(24)
    assert found["loss"] == pytest.approx(loss.item(), abs=1e-12)
    assert found["image_to_caption"] == (scores.argmax(1) == right).double().mean()
    assert found["caption_to_image"] == (scores.argmax(0) == right).double().mean()
    assert 0 < found["caption_to_image"] < 1


def test_a_tie_is_lost():
    source = Fixed(torch.ones(4, 3).double(), torch.ones(4, 3).double())
    towers = Towers(small(), ExecutionConfig(), seed=0)
    validation = Validation(source=source, size=4)
    found = validate(towers, validation, logit_scale=2.0, similarity="cosine")
    assert found["image_to_caption"] == found["caption_to_image"] == 0


@pytest.mark.parametrize("change", [{"size": 1}, {"rows_at_a_time": 0}], ids=str)
def test_impossible_settings_are_refused(change):
    with pytest.raises(InputError, match=next(iter(change))):
        Validation(**{"source": Fixed(torch.ones(4, 3), torch.ones(4, 3)), "size": 4} | change)
