"""The forward pass: what a model makes of one batch of texts, from their words to the loss of each token.

Everything that reads a batch (objective, gradients, likelihoods, refinement of posteriors) asks a :class:`Forward`
for it; nothing else embeds, encodes, samples or decodes.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from torch import Tensor

from bench.corpora.batches import Batch
from bench.models.conditions import given_condition
from bench.models.cross_entropy import token_losses, weighted_cross_entropy
from bench.models.distributions import Latent
from bench.models.model import MAIN, TWIN, Branch, TextModel
from bench.models.noise import Noise, NoiseSource

PRIOR = "prior"  # the name of the stream from which codes of the prior are drawn
STREAMS = {MAIN: "decoder", TWIN: "twin decoder"}  # names of the dropout masks of each branch


class Forward:
    """What a step knows of a batch; each thing is computed when it is first asked for, and once.

    ``noise`` gives dropout masks and, without a ``source`` of their own, the random numbers of the codes; without
    ``noise`` there is no dropout. ``embedded``, ``encoded``, ``condition`` and ``latent`` stand in for what the model
    would make. ``copies`` says how often the batch holds each text: see :meth:`repeated`.
    """

    copies = 1

    def __init__(
        self,
        model: TextModel,
        batch: Batch,
        noise: Noise | None = None,
        *,
        source: NoiseSource | None = None,
        embedded: Tensor | None = None,
        encoded: Tensor | None = None,
        condition: Tensor | None = None,
        latent: Latent | None = None,
    ) -> None:
        self.model, self.batch, self.noise, self._source = model, batch, noise, source
        self._branches: dict[str, BranchForward] = {}
        known = {"embedded": embedded, "encoded": encoded, "condition": condition}
        self.__dict__.update({name: value for name, value in known.items() if value is not None})
        if latent is not None:
            self.main.__dict__["latent"] = latent

    @classmethod
    def repeated(cls, model: TextModel, batch: Batch, noise: Noise, copies: int) -> Forward:
        """The pass in which each text has so many codes: it stands in the batch once for each, encoded only once.

        Text b is in the rows b, b + texts, ... of the batch; a mean over its rows is one over texts and their codes.
        """
        once = cls(model, batch, noise)
        if copies == 1 or model.encoder is None:
            return once
        condition = None if once.condition is None else once.condition.repeat(copies, 1)
        found = cls(
            model, batch.repeated(copies), noise, encoded=once.encoded.repeat(copies, 1), condition=condition
        )
        found.copies = copies
        return found

    @cached_property
    def embedded(self) -> Tensor:
        """The embedded inputs of the decoders, go + words (time + 1, batch, E)."""
        embedded: Tensor = self.model.embedding(self.batch.inputs)
        return embedded

    @cached_property
    def encoded(self) -> Tensor:
        """The encoded texts e (batch, features), each with its encoded condition if there is one."""
        return self.model.encode(self.batch, self.noise, self.condition)

    @cached_property
    def condition(self) -> Tensor | None:
        """The encoded conditions e_y (batch, features of the condition); None without one."""
        return self.model.encode_condition(self.batch, self.noise)

    @cached_property
    def given(self) -> Tensor | None:
        """r(y) (batch, S), what the conditions add to the decoding signals; None without one."""
        return self.model.given(self.condition)

    @property
    def prior(self) -> Any:
        """p(z), or p(z|y) of the texts of the batch: its ``log_prob`` takes codes (batch, samples, d)."""
        return given_condition(self.model.prior, self.condition)

    @property
    def texts(self) -> int:
        """How many texts the batch has."""
        return len(self.batch.lengths)

    @property
    def main(self) -> BranchForward:
        """The stochastic branch."""
        return self[MAIN]

    def __getitem__(self, name: str) -> BranchForward:
        """The branch of that name."""
        if name not in self._branches:
            self._branches[name] = BranchForward(self, name, self.model.branches[name])
        return self._branches[name]

    def source(self) -> NoiseSource:
        """Random numbers for the codes of the texts."""
        if self._source is None:
            self._source = self.needed_noise().source("latent", self.texts)
        return self._source

    @cached_property
    def prior_codes(self) -> Tensor:
        """As many codes (batch, d) of the prior as there are texts; in a part of a batch, those of its texts.

        They are drawn once: what is compared with codes of the prior is compared with the same.

        Raises TypeError for a prior that depends on a condition in a part of a batch, where not all are known.
        """
        noise = self.needed_noise()
        whole, rows = noise.rows(self.texts)
        if self.condition is not None and whole != self.texts:
            raise TypeError("codes of a prior that depends on a condition are drawn for whole batches")
        codes: Tensor = self.model.prior.sample(whole, noise.generator(PRIOR), self.condition)
        return codes[rows]

    def needed_noise(self) -> Noise:
        """The noise of the step. Raises TypeError where the batch has none."""
        if self.noise is None:
            raise TypeError("codes are drawn here, and this forward pass has no noise")
        return self.noise


class BranchForward:
    """What one branch makes of a batch: the main branch draws codes, a twin takes the centres of its posteriors."""

    def __init__(self, forward: Forward, name: str, branch: Branch) -> None:
        self.forward, self.name, self.branch = forward, name, branch

    @cached_property
    def latent(self) -> Latent:
        """q(z|x) of the texts."""
        return self.branch.latent(self.forward.encoded)

    @cached_property
    def sampled(self) -> tuple[Tensor, Tensor | None]:
        """One code of each text (batch, d), and its log-density (batch,) where it has one."""
        if self.name != MAIN:
            return self.latent.center(), None
        codes, densities = self.latent.sample(self.forward.source(), 1)
        return codes.squeeze(1), None if densities is None else densities.squeeze(1)

    @property
    def z(self) -> Tensor:
        """The code of each text (batch, d)."""
        return self.sampled[0]

    @cached_property
    def log_density(self) -> Tensor | None:
        """ln q(z|x) (batch,) of the codes, where they have a density."""
        codes, density = self.sampled
        if density is None and self.name == MAIN and self.latent.has_density:
            density = self.latent.log_prob(codes.unsqueeze(1)).squeeze(1)
        return density

    @cached_property
    def signal(self) -> Tensor | None:
        """The decoding signals h (batch, S): of the codes, of the conditions or of both; None without either."""
        given = self.forward.given
        if self.forward.model.encoder is None:
            return given
        return self.of_code if given is None else self.of_code + given

    @cached_property
    def of_code(self) -> Tensor:
        """What the codes alone give to the decoding signals (batch, S)."""
        return self.branch.decoding_signal(self.z)

    @cached_property
    def features(self) -> Tensor:
        """The features (time + 1, batch, features) from which each target is predicted; of padding, anything."""
        known, stream = self.forward, STREAMS[self.name]
        embedded, signal = known.embedded, self.signal
        features: Tensor = self.branch.decoder(embedded, signal, known.batch.real, known.noise, stream)
        return features

    def features_of(self, codes: Tensor | None) -> Tensor:
        """The features (time + 1, batch, samples, ...) for codes (batch, samples, d), without dropout.

        Without codes, those of a language model: one sample.
        """
        if codes is None:
            return self.features.unsqueeze(2)
        given = self.forward.given
        signals = self.branch.given_signal(codes, None if given is None else given.unsqueeze(1))
        features: Tensor = self.branch.decoder.features_of_samples(self.forward.embedded, signals)
        return features

    def cross_entropy(self, texts: int) -> Tensor:
        """-ln P(x|z) in nats, summed over the real tokens (eos included) of the batch and divided by ``texts``."""
        return self.weighted_cross_entropy(self.forward.batch.real / texts)[0]

    def weighted_cross_entropy(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """-ln P(x|z) in nats, summed over the tokens with ``weights`` (time + 1, batch) that are 0 at padding.

        The second result is the mean over texts of the plain sum over their tokens (), without a gradient.
        """
        batch, output = self.forward.batch, self.branch.output
        rows = self.features.flatten(0, 1).index_select(0, batch.places)
        targets, real, chosen = (
            values.flatten().index_select(0, batch.places) for values in (batch.targets, batch.real, weights)
        )
        loss, each = weighted_cross_entropy(rows, output.weight, output.bias, targets, chosen)
        return loss, (each * real).sum() / self.forward.texts

    def losses(self) -> Tensor:
        """-ln P(x|z) in nats of each text (batch,), without a gradient."""
        batch, output = self.forward.batch, self.branch.output
        rows = self.features.detach().flatten(0, 1).index_select(0, batch.places)
        targets, real = (
            values.flatten().index_select(0, batch.places) for values in (batch.targets, batch.real)
        )
        each = token_losses(rows, output.weight, output.bias, targets) * real
        texts = batch.places % self.forward.texts
        return each.new_zeros(self.forward.texts).index_add_(0, texts, each)
