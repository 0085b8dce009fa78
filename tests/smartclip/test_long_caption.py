import doctest

import pytest
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA
from torch._subclasses.fake_tensor import FakeTensorMode

import smartclip.long_caption
from smartclip.long_caption import leading_components, long_caption_loss
from smartclip.objective import modular_contrastive_loss
from theory.errors import InputError


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("size", "dimension"), [(20, 6), (6, 20)])
def test_components_are_those_of_principal_component_analysis(size, dimension):
    x = drawn(size, dimension) * torch.arange(1.0, dimension + 1)
    pca = PCA(3).fit(x.numpy())
    wanted = torch.tensor(pca.inverse_transform(pca.transform(x.numpy())))
    torch.testing.assert_close(leading_components(x, 3), wanted)


@pytest.mark.parametrize(("size", "dimension"), [(20, 6), (6, 20)])
def test_all_components_are_all_of_the_embedding(size, dimension):
    x = drawn(size, dimension)
    torch.testing.assert_close(leading_components(x, 100), x)
    short, long = drawn(2, size, dimension, seed=1)
    loss = long_caption_loss(x, long, short, 5.0, components=100, short_weight=0.1)
    clip = [modular_contrastive_loss(x, text, None, 5.0) for text in (long, short)]
    torch.testing.assert_close(loss, clip[0] + 0.1 * clip[1])


def test_the_gradient_stays_in_the_fixed_subspace():
    x = drawn(12, 5).requires_grad_()
    reduced = leading_components(x, 2)
    (grad,) = torch.autograd.grad(reduced.square().sum(), x)
    torch.testing.assert_close(grad, 2 * reduced.detach())


def test_the_coarse_branch_cannot_see_small_components():
    """A short caption about a direction of little variance is lost to it; to a mask it is not."""
    x = torch.cat([5 * drawn(40, 2), drawn(40, 2, seed=1)], 1)
    short = torch.cat([torch.zeros(40, 2, dtype=torch.float64), x[:, 2:]], 1)
    coarse = leading_components(F.normalize(x, dim=1), 2)
    mask = (short != 0).double()
    lost = modular_contrastive_loss(coarse, short, None, 20.0)
    assert modular_contrastive_loss(x, short, mask, 20.0) < lost - 0.5


def test_learns():
    image, long, short = (drawn(16, 8, seed=s).requires_grad_() for s in range(3))
    loss = long_caption_loss(image, long, short, 5.0, components=3, chunk_size=5)
    loss.backward()
    assert all(part.grad.abs().sum() > 0 for part in (image, long, short))


def test_bad_input_is_named():
    with pytest.raises(InputError, match="component"):
        leading_components(drawn(4, 4), 0)


def test_every_tensor_is_made_on_its_inputs_device():
    with FakeTensorMode(), torch.no_grad():
        image, long, short = torch.empty(3, 8, 5, device="cuda")
        assert long_caption_loss(image, long, short, 2.0, components=2).device.type == "cuda"


@pytest.mark.gpu
def test_gpu_agrees_with_cpu():
    parts = drawn(3, 64, 16)
    here = long_caption_loss(*parts, 5.0, components=4)
    torch.testing.assert_close(long_caption_loss(*parts.cuda(), 5.0, components=4).cpu(), here)


def test_examples_run():
    assert doctest.testmod(smartclip.long_caption).failed == 0
