"""The Transformer decoder against the library's attention, one word at a time, and in what it may see."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.catalog.catalog import load_catalog
from bench.models.forward import Forward
from bench.models.noise import Noise
from bench.models.transformer import Block, TransformerDecoder, sinusoids
from bench.planning.resolve import resolve
from bench.training.composition import build_model
from tests.plain import WORDS, collator, numbers

TIME, BATCH, SAMPLES, WIDTH, SIGNAL = 5, 3, 2, 8, 4
REAL = torch.ones(TIME, BATCH, dtype=torch.bool)


def decoder(signal: int = SIGNAL) -> TransformerDecoder:
    torch.manual_seed(0)
    return TransformerDecoder(WIDTH, signal, blocks=2, heads=2, hidden=6)


def test_a_block_is_attention_of_the_library_to_words_and_to_one_slot() -> None:
    torch.manual_seed(0)
    block, values, memory = (
        Block(WIDTH, SIGNAL, 2, 6),
        torch.randn(TIME, BATCH, WIDTH),
        torch.randn(BATCH, WIDTH),
    )
    library = nn.MultiheadAttention(WIDTH, 2, bias=False)
    library.in_proj_weight.data.copy_(block.asked.weight.data)
    library.out_proj.weight.data.copy_(block.attended.weight.data)
    normed = block.attention_norm(values)
    mask = torch.ones(TIME, TIME, dtype=torch.bool).triu(1)
    expected = values + library(normed, normed, normed, attn_mask=mask)[0]
    slot = nn.MultiheadAttention(WIDTH, 2, bias=False)
    assert block.slot is not None
    assert block.read is not None
    slot.in_proj_weight.data[2 * WIDTH :] = block.slot.weight.data
    slot.out_proj.weight.data.copy_(block.read.weight.data)
    expected = expected + slot(expected, memory[None], memory[None])[0]
    expected = expected + block.outer(torch.relu(block.inner(block.hidden_norm(expected))))
    found, _ = block(values, memory, torch.zeros(BATCH, 0, 2 * WIDTH), lambda kept: kept)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("size", [SIGNAL, 0])
def test_one_word_at_a_time_gives_what_all_words_give(size: int) -> None:
    ours, words = decoder(size), torch.randn(TIME, BATCH, WIDTH)
    signal = torch.randn(BATCH, size) if size else None
    whole, state = ours(words, signal, REAL, None, "decoder"), ours.start(signal, BATCH)
    for time in range(TIME):
        features, state = ours.step(words[time], signal, state)
        torch.testing.assert_close(features, whole[time])
    with_later = torch.cat([words, torch.randn(1, BATCH, WIDTH)])
    torch.testing.assert_close(ours(with_later, signal, REAL, None, "decoder")[:TIME], whole)


def test_many_samples_equal_one_at_a_time() -> None:
    ours, words, signals = decoder(), torch.randn(TIME, BATCH, WIDTH), torch.randn(BATCH, SAMPLES, SIGNAL)
    found = ours.features_of_samples(words, signals)
    for sample in range(SAMPLES):
        torch.testing.assert_close(
            found[:, :, sample], ours(words, signals[:, sample], REAL, None, "decoder")
        )


def test_dropout_has_masks_of_its_stream() -> None:
    ours, words, signal = decoder(), torch.randn(TIME, BATCH, WIDTH), torch.randn(BATCH, SIGNAL)
    first = ours(words, signal, REAL, Noise("a"), "decoder")
    assert torch.equal(first, ours(words, signal, REAL, Noise("a"), "decoder"))
    assert not torch.allclose(first, ours(words, signal, REAL, None, "decoder"))


def test_positions_are_told_apart() -> None:
    whole = sinusoids(0, 6, 5)
    assert torch.equal(whole[2:], sinusoids(2, 4, 5))
    assert whole[1, :2].tolist() == pytest.approx([0.8414709848, 1e-4], rel=1e-4)


def test_a_tied_output_has_the_embeddings_as_weights_and_both_their_gradients() -> None:
    """The loss is that of the products written out, in which the table stands twice."""
    settings = resolve(load_catalog(), "demo", "control-vae", "generated-tiny", "transformer-vae", 0)
    model, batch = build_model(settings, WORDS), collator([[4, 5, 6], [7]])(range(2))
    assert not [name for name in model.state_dict() if name.startswith("branch.output")]
    forward = Forward(model, batch, source=numbers(2))
    forward.main.cross_entropy(2).backward()
    table, found = model.embedding.weight, model.embedding.weight.grad
    table.grad = None
    logits = Forward(model, batch, source=numbers(2)).main.features @ table.t()
    each = logits.logsumexp(-1) - logits.gather(-1, batch.targets[..., None])[..., 0]
    ((each * batch.real).sum() / 2).backward()
    torch.testing.assert_close(found, table.grad)
    features = torch.randn(3, settings.embedding)
    torch.testing.assert_close(model.branch.output(features), features @ table.t())
