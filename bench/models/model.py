"""A text model as the composition of its parts, with or without a coupled twin.

Shapes: texts are (time, batch), time first; e is (batch, features), z is (batch, d), h is (batch, S).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.base.registry import NONE, build
from bench.base.seeds import derive_seed
from bench.corpora.batches import Batch, Symbols
from bench.models.contracts import Space
from bench.models.distributions import Latent
from bench.models.noise import Noise
from bench.models.precision import in_float32

MAIN, TWIN = "main", "twin"  # names of branches
Parts = dict[str, tuple[str, dict[str, Any]]]  # (kind, options) of each choice


class TiedOutput(nn.Module):
    """The output layer whose weights are the embeddings of the words, without a bias (Press & Wolf 2017)."""

    bias: Tensor

    def __init__(self, table: nn.Embedding) -> None:
        super().__init__()
        self._table = (table,)  # in a tuple: it is a module of the model and none of this
        self.register_buffer("bias", torch.zeros(table.num_embeddings), persistent=False)

    @property
    def weight(self) -> Tensor:
        """The embeddings (words, E)."""
        return self._table[0].weight

    def forward(self, features: Tensor) -> Tensor:
        """Logits (..., words) of features (..., E)."""
        return F.linear(features, self.weight)


class Branch(nn.Module):
    """What follows the encoder: posterior network, z -> h, decoder, output layer.

    ``given`` is the size of what a condition adds to h, 0 without one; ``table`` holds the embeddings of the words that
    are written, which a decoder may have as the weights of its output layer: those whose ``tied`` is true do.
    """

    def __init__(
        self,
        parts: Parts,
        words: int,
        embedding: int,
        latent: int,
        features: int,
        table: nn.Embedding,
        given: int = 0,
    ) -> None:
        super().__init__()
        wiring: dict[str, Any] = {
            "words": words,
            "embedding": embedding,
            "latent": latent,
            "features": features,
        }
        generative = features > 0
        self.posterior = build("posterior", *parts["posterior"], wiring) if generative else None
        wiring["posterior"] = self.posterior
        self.signal = build("signal", *parts["signal"], wiring) if generative else None
        size = self.signal.size if self.signal is not None else given
        if given not in (0, size):
            raise ValueError(f"the condition gives {given} numbers to a decoding signal of {size}")
        self.decoder: Any = build("decoder", *parts["decoder"], {**wiring, "signal": size})
        tied = getattr(self.decoder, "tied", False)
        self.output: Any = TiedOutput(table) if tied else nn.Linear(self.decoder.features, words)

    def latent(self, encoded: Tensor) -> Latent:
        """q(z|x) of encoded texts e (batch, features)."""
        if self.posterior is None:
            raise TypeError("a language model has no posterior")
        with in_float32(encoded):
            return self.posterior(encoded)  # type: ignore[no-any-return]

    def decoding_signal(self, z: Tensor) -> Tensor:
        """h (..., S) of codes z (..., d), without what a condition adds to it."""
        if self.signal is None:
            raise TypeError("a language model has no decoding signal")
        with in_float32(z):
            return self.signal(z)  # type: ignore[no-any-return]

    def given_signal(self, z: Tensor | None, given: Tensor | None) -> Tensor:
        """h (..., S): of codes z (..., d) where there are some, plus r(y) (..., S) where there is a condition."""
        if z is None:
            if given is None:
                raise TypeError("a decoding signal of neither a code nor a condition")
            return given
        signal = self.decoding_signal(z)
        return signal if given is None else signal + given


class TextModel(nn.Module):
    """Embedding, encoder, stochastic branch and, if coupled, a deterministic twin branch.

    The twin shares the embedding and the encoder only; everything after the encoder is its own (Wu et al.
    2020, section 4). A system without encoder is a language model, given a condition if it has one: another field
    y of the example, of which both branches and the prior know e_y. One whose encoder ``reads`` another field than
    the decoder writes is an encoder-decoder: its codes are of that field. :class:`bench.models.forward.Forward` is
    what the model makes of a batch.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        words: int,
        embedding: int,
        latent: int,
        reads: str | None = None,
        others: Mapping[str, int] | None = None,
    ) -> None:
        """``parts`` holds (kind, options) for each choice; ``words`` is the size of the vocabulary.

        ``others`` are the sizes of the vocabularies of fields that are read, where they are not that of the field
        that is written: each has an embedding of its own.
        """
        super().__init__()
        sizes = {"words": words, "embedding": embedding, "latent": latent}
        self.embedding = nn.Embedding(words, embedding)
        own = {field: nn.Embedding(count, embedding) for field, count in (others or {}).items()}
        self.embeddings = nn.ModuleDict(own)
        self.reads = reads
        self.encoder: Any = _built(parts, "encoder", sizes)
        if own and getattr(self.encoder, "table", None) is not None:
            raise ValueError(
                "a field with a vocabulary of its own has embeddings of its own: no others are read"
            )
        self.condition: Any = _built(parts, "condition", sizes)
        known, given = (0, 0) if self.condition is None else (self.condition.features, self.condition.size)
        features = self.encoder.features + known if self.encoder is not None else 0
        wiring: dict[str, Any] = {**sizes, "features": features, "given": given, "table": self.embedding}
        self.branch = Branch(parts, **wiring)
        self.twin = Branch(parts, **wiring) if parts["coupling"][0] != NONE else None
        inference = {
            "features": features,
            "condition": known,
            "encoder": self.encoder,
            "posterior": self.branch.posterior,
        }
        self.prior: Any = _built(parts, "prior", {**sizes, **inference})
        self.space: Space = _built(parts, "space", {**sizes, "posterior": self.branch.posterior})
        self.words, self.features = words, features

    @property
    def branches(self) -> dict[str, Branch]:
        """The branches by name."""
        return {MAIN: self.branch} if self.twin is None else {MAIN: self.branch, TWIN: self.twin}

    def encode(self, batch: Batch, noise: Noise | None = None, condition: Tensor | None = None) -> Tensor:
        """The encoded texts e (batch, features), in float32: of the field that is read.

        With a ``condition`` e_y, posteriors are inferred from [e; e_y], which is returned.
        """
        if self.encoder is None:
            raise TypeError("a language model has no encoder")
        read = self._read(batch, self.field_read(batch), self.encoder)
        encoded: Tensor = self.encoder(*read, noise).float()
        return encoded if condition is None else torch.cat([encoded, condition], dim=-1)

    def encode_condition(self, batch: Batch, noise: Noise | None = None) -> Tensor | None:
        """The encoded conditions e_y (batch, features of the condition), in float32; None without a condition."""
        if self.condition is None:
            return None
        read = self._read(batch, self.condition.field, self.condition)
        encoded: Tensor = self.condition(*read, noise).float()
        return encoded

    def field_read(self, batch: Batch) -> str:
        """The field of which the codes of a batch are."""
        return self.reads or batch.encodes

    def _read(self, batch: Batch, field: str, reader: nn.Module) -> tuple[Tensor, Tensor]:
        """The embedded words (time, batch, E) of a field and their lengths (batch,), as the ``reader`` reads them.

        It may ask for ``symbols`` around the words, and have a ``table`` of embeddings of its own.
        """
        symbols: Symbols = getattr(reader, "symbols", "none")
        table = getattr(reader, "table", None)
        read = batch.fields[field].within(symbols)
        embedding = dict(self.embeddings.items()).get(field, self.embedding if table is None else table)
        return embedding(read.words), read.lengths

    def given(self, condition: Tensor | None) -> Tensor | None:
        """r(y) (..., S), what e_y (..., features of the condition) adds to the decoding signals."""
        if condition is None:
            return None
        with in_float32(condition):
            return self.condition.signal(condition)  # type: ignore[no-any-return]


def _built(parts: Parts, choice: str, wiring: dict[str, Any]) -> Any:
    """The part of a choice, or None where the system does without."""
    kind, options = parts[choice]
    return None if kind == NONE else build(choice, kind, options, wiring)


def initialise(
    model: nn.Module, seed: int, *, weights: float | None = None, embedding: float | None = None
) -> None:
    """Give every module its own initial values, seeded by its name.

    A baseline and its twin thus start from the same numbers wherever both have a module of that name, and a
    module that is added moves no other value. With bounds, the parameters of all modules that have initial
    values of their own (``weights``) or of the embedding are uniform between minus and plus the bound. A module
    that must begin as it says, such as a flow that begins as the identity, has a true attribute ``begins_as_it_says``.
    """
    for name, module in model.named_modules():
        reset = getattr(module, "reset_parameters", None)
        if reset is None:
            continue
        bound = embedding if isinstance(module, nn.Embedding) else weights
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed("initialisation", seed, name))
            reset()
            if bound is not None and not getattr(module, "begins_as_it_says", False):
                for parameter in module.parameters(recurse=False):
                    nn.init.uniform_(parameter, -bound, bound)
