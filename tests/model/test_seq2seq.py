"""The whole network: one table of words, every weight learns, halves of precision agree."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from openmmb.model.config import Fusion, Variant
from openmmb.model.loss import token_loss
from openmmb.model.seq2seq import Seq2Seq
from tests.build import TINY_F, TINY_I, tiny_config, tiny_model

START = 1
VARIANTS: tuple[Variant, ...] = ("prelayernorm", "xlm", "aiayn", "bart")
FUSIONS: tuple[Fusion, ...] = ("early", "late")


def inputs() -> dict[str, Tensor]:
    source = torch.Generator().manual_seed(5)
    return {
        "context": torch.randint(4, 300, (3, 6), generator=source),
        "context_mask": torch.arange(6) < torch.tensor([6, 3, 1])[:, None],
        "image": torch.randn(3, TINY_I, TINY_F, generator=source),
        "has_image": torch.tensor([True, False, True]),
        "reply": torch.randint(4, 300, (3, 5), generator=source),
    }


def run(model: Seq2Seq, given: dict[str, Tensor]) -> Tensor:
    hidden: Tensor = model(
        given["context"],
        given["context_mask"],
        given["image"],
        given["has_image"],
        given["reply"],
        START,
    )
    return model.logits(hidden)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_trainable_weight_learns(fusion: Fusion, variant: Variant) -> None:
    config = tiny_config(
        fusion=fusion, variant=variant, num_segments=2, learned_positions=True, image_layers=2
    )
    model, given = tiny_model(config), inputs()
    token_loss(run(model, given).flatten(0, 1), given["reply"].flatten()).backward()  # type: ignore[no-untyped-call]
    still = {
        name
        for name, weight in model.named_parameters()
        if weight.requires_grad and (weight.grad is None or not weight.grad.any())
    }
    # Nothing after the encoder's last norm of bart's early fusion uses it: ParlAI leaves it out.
    unused = {"encoder.norm.weight", "encoder.norm.bias"} if variant == "bart" else set()
    assert still == (unused if fusion == "early" else set())


def test_every_variant_and_fusion_is_a_network_of_its_own() -> None:
    given, found = inputs(), list[Tensor]()
    for fusion in FUSIONS:
        for variant in VARIANTS:
            with torch.no_grad():
                found.append(run(tiny_model(tiny_config(fusion=fusion, variant=variant)), given))
    for place, logits in enumerate(found):
        assert logits.isfinite().all()
        assert not any(torch.allclose(logits, other, atol=1e-3) for other in found[:place])


def test_fixed_positions_get_no_gradient() -> None:
    model, given = tiny_model(), inputs()
    run(model, given).sum().backward()  # type: ignore[no-untyped-call]
    assert model.encoder.positions.weight.grad is None
    assert model.decoder.positions.weight.grad is None


def test_all_pictures_is_what_no_mask_of_pictures_means() -> None:
    model, given = tiny_model(), inputs()
    with torch.no_grad():
        all_true = model.read(
            given["context"], given["context_mask"], given["image"], torch.ones(3).bool()
        )
        unsaid = model.read(given["context"], given["context_mask"], given["image"])
    assert unsaid.states.equal(all_true.states)
    assert unsaid.mask.equal(all_true.mask)


def test_pictures_of_no_vectors_are_no_pictures() -> None:
    model, given = tiny_model(), inputs()
    with torch.no_grad():
        none = model.read(given["context"], given["context_mask"])
        empty = model.read(
            given["context"], given["context_mask"], given["image"][:, :0], torch.zeros(3).bool()
        )
    assert none.states.equal(empty.states)
    assert none.mask.equal(empty.mask)


def test_a_picture_without_a_word_can_be_read() -> None:
    model = tiny_model()
    empty = torch.zeros(2, 0, dtype=torch.int64)
    memory = model.read(empty, empty.bool(), torch.randn(2, TINY_I, TINY_F))
    states, mask = memory.states, memory.mask
    assert states.shape == (2, TINY_I, 16)
    assert states.isfinite().all()
    assert mask.all()


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_row_of_nothing_spoils_no_other(fusion: Fusion) -> None:
    """One row has neither words nor a picture; the loss over the others is a number."""
    model, given = tiny_model(tiny_config(fusion=fusion)), inputs()
    given["context_mask"][1] = False
    logits = run(model, given)
    assert logits.isfinite().all()
    logits[[0, 2]].sum().backward()  # type: ignore[no-untyped-call]
    assert all(w.grad is None or w.grad.isfinite().all() for w in model.parameters())


@pytest.mark.parametrize("variant", VARIANTS)
def test_bfloat16_products_stay_close(variant: Variant) -> None:
    model, given = tiny_model(tiny_config(variant=variant)), inputs()
    full = run(model, given)
    with torch.autocast("cpu", torch.bfloat16):
        half = run(model, given)
    spread = full.std().item()
    assert (half.float() - full).abs().max().item() < 0.1 * spread


def test_bfloat16_weights_stay_close() -> None:
    model, given = tiny_model(), inputs()
    with torch.no_grad():
        full = run(model, given)
        given["image"] = given["image"].bfloat16()
        half = run(model.to(torch.bfloat16), given)
    assert model.dtype == half.dtype == torch.bfloat16
    assert (half.float() - full).abs().max().item() < 0.15 * full.std().item()


def test_words_are_scaled_when_the_config_says_so() -> None:
    config = tiny_config()
    assert tiny_model(config).scale == 4.0
    assert tiny_model(replace(config, scale_embeddings=False)).scale == 1.0


def test_the_same_seed_draws_the_same_weights() -> None:
    one, same, other = tiny_model(seed=1), tiny_model(seed=1), tiny_model(seed=2)
    pairs = zip(one.parameters(), same.parameters(), strict=True)
    assert all(a.equal(b) for a, b in pairs)
    assert not one.embeddings.weight.equal(other.embeddings.weight)
    assert one.embeddings.weight.std().item() == pytest.approx(16**-0.5, rel=0.05)


def test_parameters_are_counted_once() -> None:
    model = tiny_model()
    assert model.num_parameters() == sum(w.numel() for w in model.state_dict().values())


def test_a_few_updates_teach_a_reply() -> None:
    model, given = tiny_model().train(), inputs()
    optimizer = torch.optim.Adam((w for w in model.parameters() if w.requires_grad), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        loss = token_loss(run(model, given).flatten(0, 1), given["reply"].flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert loss.item() / given["reply"].numel() < 0.1


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_vector_of_zeros_is_no_region(fusion: Fusion) -> None:
    given = inputs()
    fewer = given["image"][:1, :-1]
    filled = torch.cat([fewer, torch.zeros(1, 1, TINY_F)], dim=1)
    model = tiny_model(tiny_config(fusion=fusion)).eval()
    hidden = []
    with torch.no_grad():
        for image in (fewer, filled):
            memory = model.read(given["context"][:1], given["context_mask"][:1], image)
            hidden.append(model.predict(given["reply"][:1], memory, START))
    torch.testing.assert_close(*hidden, rtol=0, atol=1e-5)
