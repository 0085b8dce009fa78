import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from smartclip.model import SmartCLIP
from smartclip.objective import similarity_matrix
from smartclip.towers.mlp import MLPConfig, MLPImageTower, MLPTextTower


def small(device="cpu", **options):
    config = MLPConfig(width=16, depth=2)
    text = MLPTextTower(5, 6, config, state_width=16)
    return SmartCLIP(
        MLPImageTower(4, 6, config), text, width=text.width, dimension=6, **options
    ).to(device)


def test_shapes_and_hard_masks():
    model = small()
    drawn = model(torch.randn(8, 4), torch.randn(8, 5), generator=torch.Generator().manual_seed(0))
    assert drawn.image.shape == drawn.text.shape == drawn.mask.shape == (8, 6)
    assert set(drawn.mask.detach().unique().tolist()) <= {0.0, 1.0}
    hard = model(torch.randn(8, 4), torch.randn(8, 5)).mask
    assert not hard.any(), "a fresh gate is exactly half open, and half open is closed when hard"


def test_image_coordinates_are_whitened():
    model = small().train()
    image = model.encode_image(3 + 5 * torch.randn(512, 4))
    torch.testing.assert_close(image.mean(0), torch.zeros(6), atol=1e-4, rtol=0)
    torch.testing.assert_close(image.var(0), torch.ones(6), atol=1e-2, rtol=0)


def test_without_masks_it_is_clip():
    model = small(masks=False)
    assert model.mask_network is None
    assert model.shared_logits is None
    batch = model(torch.randn(8, 4), torch.randn(8, 5), generator=torch.Generator())
    assert batch.mask.all()


def test_a_closed_shared_gate_closes_every_caption():
    model = small()
    torch.nn.init.constant_(model.mask_network.score.bias, 5.0)
    with torch.no_grad():
        model.shared_logits[2] = -9.0
    _, mask = model.encode_text(torch.randn(10, 5))
    assert not mask[:, 2].any()
    assert mask[:, [0, 1, 3, 4, 5]].all()
    assert model.used_coordinates().tolist() == [1, 1, 0, 1, 1, 1]


@pytest.mark.parametrize("gate", ["straight_through", "hard_concrete", "soft"])
def test_every_kind_of_gate_trains(gate):
    model = small(gate=gate)
    torch.nn.init.constant_(model.mask_network.score.bias, 1.0)  # else deterministic gates are shut
    batch = model(torch.randn(8, 4), torch.randn(8, 5), generator=torch.Generator())
    (batch.mask.sum() + model.expected_size(batch.open_probability)).backward()
    assert model.mask_network.score.bias.grad.any()
    assert model.shared_logits.grad.all()


def test_expected_size_moves_only_the_shared_gates():
    model = small()
    batch = model(torch.randn(8, 4), torch.randn(8, 5), generator=torch.Generator())
    size = model.expected_size(batch.open_probability)
    assert size.item() == pytest.approx(6 * 0.5 * torch.tensor(3.0).sigmoid().item(), rel=1e-5)
    size.backward()
    moved = [name for name, p in model.named_parameters() if p.grad is not None]
    assert moved == ["shared_logits"]


def test_every_tensor_is_made_on_its_inputs_device():
    """A forward pass on pretended CUDA tensors finds a tensor made on the wrong device."""
    model = small().eval()
    # Without gradients: the autograd of a CPU build of torch has no CUDA to ask.
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        for module in model.modules():
            for tensors in (module._parameters, module._buffers):
                for name, tensor in tensors.items():
                    if tensor is not None:
                        pretended = torch.empty(tensor.shape, dtype=tensor.dtype, device="cuda")
                        tensors[name] = (
                            torch.nn.Parameter(pretended)
                            if isinstance(tensor, torch.nn.Parameter)
                            else pretended
                        )
        batch = model(torch.randn(8, 4, device="cuda"), torch.randn(8, 5, device="cuda"))
        for similarity in ("cosine", "distance", "likelihood_ratio"):
            logits = similarity_matrix(*batch[:3], 2.0, similarity=similarity)
            assert logits.device.type == "cuda"


@pytest.mark.gpu
def test_gpu_forward_agrees_with_cpu():
    torch.manual_seed(0)
    model = small().eval()
    images, tokens = torch.randn(8, 4), torch.randn(8, 5)
    here = model(images, tokens)
    there = model.cuda()(images.cuda(), tokens.cuda())
    torch.testing.assert_close(there.image.cpu(), here.image, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(there.text.cpu(), here.text, atol=1e-5, rtol=1e-4)
