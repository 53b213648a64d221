"""What a job asks of a cluster: the longest it may take and the memory of the machine it runs on.

A job that meets its limits is tried again with more of both, and a training goes on where it was, so these are
limits that few jobs meet rather than the most that any could need. How long a job of this machine takes is what
``bench plan`` measures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.base.registry import lookup
from bench.base.settings import Part, RunSettings
from bench.store.costs import validations

# Target tokens a second of a VAE's training: a third of the slowest that was measured on one shared core (3,200 on
# Penn Treebank). A card, which has not been measured, is taken for ten such cores.
RATES = {"cpu": 1_000, "cuda": 10_000}
SCORING = 6  # tokens scored in the time of one that is trained on: the slowest evaluation measured had 6,300 a second
START = 30  # minutes of every job: imports, reading, writing, a slow disk
DAY = 24 * 60  # minutes: what most partitions allow, and what the first attempt asks for at most
FEWEST = 30  # updates before which an aggressive step cannot end: two blocks (He et al. 2019, released code)
BASE = 4_000  # MB of a process that has loaded the library, a corpus and a model of the papers' sizes
TENSORS = 3  # float32 tensors as large as the logits of a batch that a step holds at once, and their like


@dataclass(frozen=True)
class Sizes:
    """How large a corpus is: words in all, words a text on average and at most, texts of each split.

    What is not given is assumed.
    """

    words: int = 10_000
    mean: float = 20.0
    longest: int = 100
    texts: Mapping[str, int] = field(default_factory=lambda: {"train": 40_000, "valid": 4_000, "test": 4_000})


@dataclass(frozen=True)
class Needs:
    """Minutes, and megabytes of the machine's memory."""

    minutes: int
    mem_mb: int


def sizes_of(card: Path) -> Sizes:
    """The sizes of a prepared corpus by its ``card.json``, and assumed ones as long as it is not prepared."""
    try:
        content = json.loads(card.read_text(encoding="utf-8"))
        splits = content["splits"]
        return Sizes(
            words=content["vocabulary_size"],
            mean=splits["train"]["length"]["mean"],
            longest=splits["train"]["length"]["max"],
            texts={split: found["texts"] for split, found in splits.items()},
        )
    except (OSError, ValueError, KeyError):
        return Sizes()


def training_needs(run: RunSettings, sizes: Sizes, device: str, attempt: int) -> Needs:
    """What a training asks for at its ``attempt``, 1-based: of steps, lengths, procedure and device."""
    training = run.training
    steps = training.steps * training.batch * passes(run)
    scored = validations(run) * sizes.texts["valid"] * (training.validation_samples + ascents(run))
    tokens = (steps + scored / SCORING) * (sizes.mean + 1)
    return _needs(run, sizes, tokens, device, attempt, (1 + ascents(run)) * codes(run))


def evaluation_needs(run: RunSettings, sizes: Sizes, device: str, attempt: int) -> Needs:
    """What an evaluation asks for at its ``attempt``, 1-based; decoded words are counted as if scored."""
    wanted = run.evaluation
    texts = sizes.texts["test"] * (wanted.samples + 2 * wanted.reconstructions + ascents(run))
    gradients = 2 * min(wanted.gradient_texts or sizes.texts["test"], sizes.texts["test"])
    return _needs(run, sizes, (texts / SCORING + gradients) * (sizes.mean + 1), device, attempt)


def passes(run: RunSettings) -> int:
    """Forward and backward passes of one step, in those of a standard step without a twin.

    Of the updates that a step may make besides its own, half count, or ``FEWEST`` if it may make so many: it
    seldom makes all, and in an aggressive training none after some validation. Each ascent of a posterior is
    differentiated twice.
    """
    most = _repeated(run, "updates")
    updates = 1 + max(most // 2, min(most, FEWEST))
    return updates * (1 if run.coupling.absent else 2) * codes(run) + 2 * ascents(run)


def ascents(run: RunSettings) -> int:
    """Steps by which each posterior is refined."""
    return _repeated(run, "ascents")


def codes(run: RunSettings) -> int:
    """Codes of each text in a step: as many as the term asks for that asks for most."""
    return max(1, *(_marked("term", term, "codes") for term in run.objective.values()))


def _repeated(run: RunSettings, what: str) -> int:
    """How often a step repeats ``what``, by the options of its procedure that are marked so."""
    return _marked("procedure", run.procedure, what)


def _marked(choice: str, part: Part, what: str) -> int:
    """The sum of the options of a part that are marked as repeating ``what``."""
    marked = lookup(choice, part.kind).options.model_fields
    return sum(
        part.options[name] for name, field in marked.items() if field.json_schema_extra == {"repeats": what}
    )


def _needs(
    run: RunSettings, sizes: Sizes, tokens: float, device: str, attempt: int, graphs: int = 1
) -> Needs:
    """``tokens``: as many target tokens of standard steps cost the same; ``graphs``: of steps held at once."""
    rate = RATES["cuda" if device.startswith("cuda") else "cpu"]
    minutes = START + tokens / rate / 60
    logits = run.training.batch * (sizes.longest + 1) * sizes.words * 4 / 1e6
    memory = BASE + TENSORS * logits * graphs
    return Needs(min(round(minutes), DAY) * attempt, round(memory) * attempt)
