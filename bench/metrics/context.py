"""What the measures of one run share: the model, its posteriors, likelihoods and decoded texts, each computed once.

A result depends on the run and its settings alone: not on how the work is batched, nor on which other measures are
made, since each random number is seeded by a name.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from bench.base.errors import BenchError
from bench.base.files import read_json
from bench.base.seeds import derive_seed
from bench.base.settings import RunSettings
from bench.corpora.batches import Collator
from bench.corpora.prepared import Prepared
from bench.estimators.flows import OF_FLOW, after_flow, at_the_mean, flow_of
from bench.estimators.information import Information, mutual_information
from bench.estimators.likelihood import (
    EFFECTIVE,
    OF_FEWER,
    Infer,
    conditions,
    posteriors,
    text_likelihoods,
)
from bench.metrics.decoding import greedy
from bench.metrics.needs import offered
from bench.models.conditions import given_condition
from bench.models.distributions import Latent
from bench.models.model import TextModel
from bench.models.noise import TextSource
from bench.store.evaluators import load_evaluator
from bench.store.freshness import WEIGHTS
from bench.training.composition import compose

SPLIT = "test"
Ids = list[int]  # one text


class Context:
    """One trained run on the test split of its corpus."""

    def __init__(
        self,
        settings: RunSettings,
        corpus: Prepared,
        folder: Path,
        device: torch.device,
        evaluators: Path | None = None,
    ) -> None:
        """``folder`` holds the weights; ``evaluators`` is the folder of the evaluators, by default a temporary one."""
        self.settings, self.corpus, self.folder, self.device = settings, corpus, folder, device
        self.wanted = settings.evaluation
        self.composition = compose(settings, corpus)
        self.composition.load_state_dict(load_file(folder / WEIGHTS))
        self.model: TextModel = self.composition.to(device).model.eval().requires_grad_(False)
        self.infer = self.composition.procedure.inference(self.model)
        self.texts = Collator(corpus.splits[SPLIT], device)
        self._evaluators = evaluators
        self._loaded: dict[str, Any] = {}
        self._decoded: dict[bool, list[list[Ids]]] = {}

    @property
    def summary(self) -> Mapping[str, Any]:
        """The content of ``corpus.json``."""
        found: Mapping[str, Any] = read_json(self.corpus.folder / "corpus.json")
        return found

    @cached_property
    def met(self) -> frozenset[str]:
        """The needs that the run meets, those of which only the built model tells among them."""
        known = offered(self.settings, self.summary)
        closed = "density" in known and self.latent.kl_terms(self.prior) is not None
        return known | ({"closed-form KL"} if closed else set())

    def noise(self, *names: object) -> tuple[object, ...]:
        """Names that seed random numbers of this run's evaluation."""
        return ("evaluation", self.settings.corpus, self.settings.seed, *names)

    @property
    def likelihoods(self) -> dict[str, np.ndarray]:
        """Columns of the likelihoods of the texts: see :func:`bench.estimators.likelihood.text_likelihoods`."""
        other = (EFFECTIVE, OF_FLOW, OF_FEWER)
        return {name: values for name, values in self._likelihoods.items() if not name.endswith(other)}

    @property
    def flow_likelihoods(self) -> dict[str, np.ndarray]:
        """Columns of the same codes with the prior after the flows: :func:`bench.estimators.flows.after_flow`."""
        return {name: values for name, values in self._likelihoods.items() if name.endswith(OF_FLOW)}

    @property
    def likelihoods_of_fewer(self) -> dict[str, np.ndarray]:
        """Columns of the same codes, fewer at a time: :func:`bench.estimators.likelihood.of_fewer`."""
        return {name: values for name, values in self._likelihoods.items() if name.endswith(OF_FEWER)}

    @cached_property
    def _likelihoods(self) -> dict[str, np.ndarray]:
        return self.likelihoods_by(self.infer)

    @property
    def kl(self) -> np.ndarray:
        """KL(q(z|x) || p(z)) of each text (texts,) in nats: in closed form where that is known, else of its codes."""
        found = self.likelihoods
        return found["kl_analytic"] if "kl_analytic" in found else found["kl_monte_carlo"]

    @cached_property
    def information(self) -> Information:
        """What codes tell of their texts: see :func:`bench.estimators.information.mutual_information`."""
        kl = torch.as_tensor(self.kl, device=self.device)
        lengths = torch.as_tensor(self.texts.lengths, device=self.device)
        with torch.no_grad():
            codes = self.codes(self.latent, self.wanted.samples, "codes")
            block = self.wanted.information_block
            return mutual_information(self.latent, codes, kl, lengths, self.prior, block)

    @cached_property
    def at_the_mean(self) -> dict[str, np.ndarray]:
        """Columns of the loss at the means of the posteriors: :func:`bench.estimators.flows.at_the_mean`."""
        return at_the_mean(self.model, self.texts, self.infer)

    def likelihoods_by(self, infer: Infer) -> dict[str, np.ndarray]:
        """Columns of the likelihoods of the texts with the posteriors of ``infer``.

        In float32 on every device, whatever the training multiplied in: no value depends on where it is made.
        """
        also = after_flow if flow_of(self.model) is not None else None
        names, samples = self.noise("codes"), self.wanted.samples
        return text_likelihoods(self.model, self.texts, samples, *names, infer=infer, also=also)

    @cached_property
    def latent(self) -> Latent:
        """The posteriors of all texts, in corpus order."""
        return self.posteriors(self.texts)

    def posteriors(self, texts: Collator) -> Latent:
        """The posteriors of all texts of a split, in corpus order."""
        return posteriors(self.infer, texts, np.arange(len(texts.lengths)))

    @cached_property
    def condition(self) -> Tensor | None:
        """The encoded conditions e_y (texts, F), in corpus order; None where texts have none."""
        return conditions(self.model, self.texts)

    @property
    def prior(self) -> Any:
        """p(z), or p(z|y) of all texts, in corpus order: its ``log_prob`` takes codes (texts, samples, d)."""
        return given_condition(self.model.prior, self.condition)

    def given(self, texts: Sequence[int] | Tensor | slice = slice(None)) -> Tensor | None:
        """What the conditions of these texts, by default of all, add to decoding signals (n, S); None without any."""
        return None if self.condition is None else self.model.given(self.condition[texts])

    def codes(self, latent: Latent, samples: int, *names: object) -> Tensor:
        """Codes (texts, samples, d), the same for a text whatever else is measured."""
        index = torch.arange(len(latent.center()), device=self.device)
        return latent.sample(TextSource(index, *self.noise(*names)), samples)[0]

    @property
    def reconstructed(self) -> int:
        """How many codes of each text are decoded; a deterministic code needs only one."""
        return self.wanted.reconstructions if self.latent.stochastic else 1

    def reconstructions(self, *, unknown: bool = False) -> list[list[Ids]]:
        """For each text, the greedy texts of codes of its posterior; ``unknown`` lets the unknown word be written."""
        if unknown not in self._decoded:
            samples = self.reconstructed
            codes = self.codes(self.latent, samples, "codes").flatten(0, 1)
            given = self.given(torch.arange(len(codes), device=self.device) // samples)
            outputs = greedy(self.model, codes, self.wanted.longest, unknown=unknown, given=given)
            by_text = [outputs[i : i + samples] for i in range(0, len(outputs), samples)]
            self._decoded[unknown] = by_text
        return self._decoded[unknown]

    @cached_property
    def mean_texts(self) -> list[Ids]:
        """For each text, the greedy text of the mean of its posterior, in which the unknown word may be written."""
        if not self.latent.stochastic:
            return [texts[0] for texts in self.reconstructions(unknown=True)]
        return greedy(self.model, self.latent.center(), self.wanted.longest, unknown=True, given=self.given())

    @cached_property
    def references(self) -> list[Ids]:
        """The texts as ids; each word without an id of its own has a negative number instead, the same everywhere."""
        return self._numbered(self.raw)

    @cached_property
    def whole_references(self) -> list[Ids]:
        """The same of the texts as they were before long ones were cut."""
        return self._numbered(self.corpus.whole(SPLIT))

    def _numbered(self, texts: list[list[str]]) -> list[Ids]:
        vocabulary, others = self.corpus.vocabulary, dict[str, int]()

        def number(word: str) -> int:
            found: int = vocabulary.id(word)
            if vocabulary.words[found] == word:
                return found
            return others.setdefault(word, -1 - len(others))

        return [[number(word) for word in text] for text in texts]

    @cached_property
    def raw(self) -> list[list[str]]:
        """The texts in words, before unknown words were mapped."""
        return self.corpus.raw(SPLIT)

    @cached_property
    def prior_texts(self) -> list[Ids]:
        """Greedy texts of codes of the prior; where it or the decoder has a condition, those of the texts in turn."""
        return self._of_prior(self.wanted.prior_samples, "prior")

    @cached_property
    def prior_texts_with_unknown(self) -> list[Ids]:
        """The same texts where the unknown word may be written."""
        return self._of_prior(self.wanted.prior_samples, "prior", unknown=True)

    @cached_property
    def reverse_texts(self) -> list[Ids]:
        """The texts from which n-gram models of the samples are estimated: the same, or as many as were asked for."""
        count = self.wanted.reverse_samples
        return self._of_prior(count, "prior", unknown=True) if count else self.prior_texts_with_unknown

    @cached_property
    def responses(self) -> list[Ids]:
        """One greedy text for the condition of each text, of a code of the prior where the system has codes.

        Where the encoder reads another text than is written, its posterior is what gives codes of that text.
        """
        if self.settings.reads is not None:
            return [texts[0] for texts in self.reconstructions()]
        return self._of_prior(len(self.texts.lengths), "responses")

    def several_responses(self, each: int) -> list[Ids]:
        """So many greedy texts for the condition of each text, one after another, of as many codes of the prior."""
        return self._of_prior(each * len(self.texts.lengths), "several responses", each=each)

    def _of_prior(self, count: int, name: str, *, unknown: bool = False, each: int = 1) -> list[Ids]:
        """Greedy texts of ``count`` codes of the prior, ``each`` given a condition of the texts in turn."""
        turn = torch.arange(count, device=self.device) // each % len(self.texts.lengths)
        condition, codes = None if self.condition is None else self.condition[turn], None
        if self.model.prior is not None:
            generator = torch.Generator().manual_seed(derive_seed(*self.noise(name)))
            codes = self.model.prior.sample(count, generator, condition).to(self.device)
        return greedy(self.model, codes, self.wanted.longest, unknown=unknown, given=self.given(turn))

    def text(self, ids: Sequence[int]) -> str:
        """A text of ids as it is shown."""
        return " ".join(self.corpus.vocabulary.decode(ids))

    def decoded(self, codes: Tensor, texts: Sequence[int]) -> list[str]:
        """The greedy texts of codes (n, d), as they are shown; where texts have conditions, given those of ``texts``.

        One text stands for all codes.
        """
        rows = [*texts] * len(codes) if len(texts) == 1 else texts
        outputs = greedy(self.model, codes, self.wanted.longest, given=self.given(rows))
        return [self.text(ids) for ids in outputs]

    def interpolated(self, latent: Latent, first: int, last: int, inner: int) -> list[str]:
        """Greedy texts of two texts' centres and of ``inner`` codes between them.

        These are at equal distances on the way that the space of the codes has between two of them. Where texts have
        conditions, that of the first is given to all.
        """
        shares = torch.linspace(0, 1, inner + 2, device=self.device)
        center = latent.center()
        return self.decoded(self.model.space.between(center[first], center[last], shares), [first])

    def chosen(self, count: int) -> list[int]:
        """Some texts to show, the same for every system of a corpus."""
        random = np.random.Generator(np.random.PCG64(derive_seed("shown", self.settings.corpus)))
        total = len(self.texts.lengths)
        return sorted(random.choice(total, size=min(count, total), replace=False).tolist())

    @cached_property
    def evaluators(self) -> Path:
        """The folder of all evaluators."""
        return self._evaluators or Path(tempfile.mkdtemp())

    def evaluator(self, name: str) -> Any:
        """The evaluator that the paper declares under ``name``; it is made if it is not there yet.

        Raises :class:`BenchError` for a name that the paper does not declare.
        """
        if name not in self._loaded:
            declared = self.wanted.evaluators
            if name not in declared:
                raise BenchError(
                    f"the paper declares no evaluator {name!r}", where=self.settings.name, allowed=declared
                )
            folder = self.evaluators / self.settings.paper / self.settings.corpus / name
            self._loaded[name] = load_evaluator(declared[name], self.corpus, folder)
        return self._loaded[name]
