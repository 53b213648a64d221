"""Greedy decoding against a plain loop over one text at a time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.corpora.vocabulary import EOS, GO, UNK
from bench.metrics import decoding
from bench.metrics.decoding import greedy
from bench.models.model import TextModel
from tests.plain import Plain, small_model

LONGEST = 8


def sensitive_model(**biases: float) -> TextModel:
    """A model that says different things for different codes, with a bias for or against some symbols."""
    model = small_model("vae")
    with torch.no_grad():
        model.branch.get_parameter("signal.outer.weight").mul_(8)
        model.branch.get_parameter("decoder.gru.weight_hh").mul_(4)
        model.branch.output.weight.mul_(8)
        for name, value in biases.items():
            model.branch.output.bias[{"eos": EOS, "unk": UNK}[name]] = value
    return model


@pytest.fixture
def codes() -> Tensor:
    return 2 * torch.randn(60, 4, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def by_hand(plain: Plain, code: Tensor) -> list[int]:
    written: list[int] = []
    for _ in range(LONGEST):
        logits = plain.logits("branch", [GO, *written], plain.signal("branch", code.double()))[-1]
        logits[UNK] = -torch.inf
        word = int(logits.argmax())
        if word == EOS:
            return written or [EOS]
        written.append(word)
    return written


def test_it_equals_the_likeliest_word_at_each_step(codes: Tensor) -> None:
    model = sensitive_model(eos=-1.0)
    plain = Plain(model)
    found = greedy(model, codes, LONGEST)
    assert found == [by_hand(plain, code) for code in codes]
    lengths = [len(text) for text in found]
    assert {1, 2, 3, LONGEST} < set(lengths)  # some end early, some never
    assert [EOS] in found


def test_the_unknown_word_is_never_written(codes: Tensor) -> None:
    texts = greedy(sensitive_model(unk=100.0), codes, LONGEST)
    assert all(UNK not in text for text in texts)


def test_a_text_that_ends_at_once_keeps_the_end_symbol_and_others_do_not(codes: Tensor) -> None:
    assert greedy(sensitive_model(eos=100.0), codes, LONGEST) == [[EOS]] * len(codes)
    found = greedy(sensitive_model(eos=-1.0), codes, LONGEST)
    assert all(EOS not in text for text in found if text != [EOS])
    assert {len(text) for text in greedy(sensitive_model(eos=-100.0), codes, LONGEST)} == {LONGEST}


@pytest.mark.parametrize("rows", [1, 7, 60])
def test_the_number_of_codes_decoded_at_once_changes_nothing(
    rows: int, codes: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = sensitive_model(eos=-1.0)
    wanted = greedy(model, codes, LONGEST)
    monkeypatch.setattr(decoding, "ROWS", rows)
    assert greedy(model, codes, LONGEST) == wanted
