"""What a plan would cost on this device: steps, hours by records or a short calibration, disk, downloads."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from bench.base import environment
from bench.base.device import choose_device, prepare_process
from bench.base.settings import RunSettings
from bench.base.text_rules import SPLITS
from bench.catalog.catalog import Catalog
from bench.corpora.batches import Collator
from bench.corpora.entry import CorpusEntry
from bench.corpora.generated import sample
from bench.corpora.grammar.declare import load_grammar
from bench.corpora.prepared import Prepared, Texts
from bench.corpora.readers import ReaderOptions, check_options
from bench.corpora.vocabulary import SPECIALS, Vocabulary
from bench.estimators.likelihood import text_likelihoods
from bench.metrics.needs import wanted
from bench.planning.plan import Plan, with_starts
from bench.planning.resources import Sizes
from bench.store.costs import Cost, CostRecord, CostRecords, recorded_cost
from bench.store.freshness import Standing, standing
from bench.store.provenance import describe_device
from bench.training.loop import Trainer

STEPS = 6  # timed, after two that are not
TEXTS = 12  # of the validation split, timed once
CLASSES = 2  # of a label of a corpus that is not at hand
SENTENCES = 500  # drawn of a generated corpus, to know its words


def estimate(
    catalog: Catalog,
    plan: Plan,
    corpora: Path,
    device: str,
    threads: int | None,
    results: Path | None = None,
    *,
    keep: bool = True,
) -> Iterator[Cost]:
    """The cost of each run of ``plan`` and of those that they begin with, which are not measured.

    Where ``results`` hold records of like runs on this device, by them; else by timing a few steps, once for runs
    that take the same steps, which is kept in ``results`` for the next plan and for dry runs if ``keep``. A corpus
    that is not prepared yet is stood in for by random words of assumed sizes; ``assumed`` says so. Raises
    :class:`BenchError` for a device that is not there.
    """
    prepare_process(threads)
    chosen = choose_device(device)
    records = CostRecords(results, describe_device(str(chosen)), torch.get_num_threads())
    for run in with_starts(catalog, plan).runs.values():
        record = records.like(run)
        measured = run.name in plan.runs
        prepared = (corpora / run.paper / run.corpus / "corpus.json").exists()
        if record is None or (record.evaluation is None and measured) or (record.assumed and prepared):
            records.keep(run, _calibrate(run, catalog.corpus(run.corpus), corpora, chosen), lasting=keep)
            record = records.like(run)
            gc.collect()  # trainers hold themselves in circles
        assert record is not None  # kept just now
        cost = recorded_cost(run, record)
        if not measured:
            cost = replace(cost, evaluation=0.0)
        stands = Standing(0.0, False) if results is None else standing(run, results, wanted)
        yield replace(cost, trained=stands.trained, measured=stands.measured)


def downloads(catalog: Catalog, plan: Plan) -> tuple[int, int]:
    """Bytes that must be fetched where neither cache nor mirror helps, and files whose size is not known."""
    entries: list[CorpusEntry] = [catalog.corpus(name) for name in {run.corpus for run in plan.runs.values()}]
    missing = [
        file
        for entry in entries
        for file in entry.files
        if file.local is None and not (environment.cache() / file.path).exists()
    ]
    return sum(file.bytes or 0 for file in missing), sum(file.bytes is None for file in missing)


def _calibrate(run: RunSettings, entry: CorpusEntry, corpora: Path, device: torch.device) -> CostRecord:
    folder = corpora / run.paper / run.corpus
    assumed = not (folder / "corpus.json").exists()
    corpus = (
        stand_in(run, sizes_of(entry), check_options(entry, entry.name)) if assumed else Prepared.load(folder)
    )
    with tempfile.TemporaryDirectory() as state:
        trainer = Trainer(run, corpus, Path(state), device)
        trainer.reporter.every = float("inf")
        for step in range(1, 3 + STEPS):
            if step == 3:
                trainer.log.settle()
                began = time.perf_counter()
            trainer.one_step(step)
        trainer.log.settle()
        seconds = time.perf_counter() - began
    trained = sum(trainer.batch(step).tokens for step in range(3, 3 + STEPS))
    targets = {split: int(texts.lengths.sum()) + len(texts) for split, texts in corpus.splits.items()}
    per_epoch = targets["train"] / -(-len(corpus.splits["train"]) // run.training.batch)
    latent = not run.encoder.absent
    valid, test = (run.training.validation_samples, run.evaluation.samples) if latent else (1, 1)
    decoded = run.evaluation.reconstructions * targets["test"] if latent else 0
    types = dict.fromkeys((trainer.dtype, torch.float32))  # of validations, and of evaluations
    rates = {dtype: _sampling_rate(trainer, corpus, device, dtype) for dtype in types}
    return CostRecord(
        step=seconds / trained * per_epoch,
        validation=targets["valid"] * valid / rates[trainer.dtype],
        evaluation=(targets["test"] * test + decoded) / rates[torch.float32],
        parameters=sum(p.numel() for p in trainer.composition.parameters()),
        device=describe_device(str(device)),
        basis="timed",
        assumed=assumed,
    )


def _sampling_rate(trainer: Trainer, corpus: Prepared, device: torch.device, dtype: torch.dtype) -> float:
    """Target tokens times samples per second when texts are scored with products of ``dtype``."""
    texts = corpus.splits["valid"]
    count = min(TEXTS, len(texts))
    few = Collator(texts.first(count), device)
    samples = trainer.settings.training.validation_samples if trainer.model.encoder is not None else 1
    began = time.perf_counter()
    text_likelihoods(trainer.model, few, samples, "calibration", dtype=dtype)
    return (int(few.lengths.sum()) + count) * samples / (time.perf_counter() - began)


def sizes_of(entry: CorpusEntry) -> Sizes:
    """What the catalog knows of a corpus that is not prepared; of a generated one, by drawing a few texts."""
    assumed = Sizes()
    if not entry.reader.kind.startswith("generated"):
        return Sizes(texts=dict(assumed.texts) | {str(k): n for k, n in entry.expect.items()})
    size = str(entry.reader.options["size"])
    _, texts = sample(size, SENTENCES, 0)
    words = {word for text in texts for word in text}
    return Sizes(len(words), sum(map(len, texts)) / len(texts), texts=load_grammar(size).splits)


def stand_in(run: RunSettings, sizes: Sizes, declared: ReaderOptions) -> Prepared:
    """A corpus of random words, of as many fields and labels, in place of one that is not at hand."""
    count = min(sizes.words, run.text.max_words or sizes.words)
    words = [*SPECIALS, *(f"word{i}" for i in range(count))]
    random = torch.Generator().manual_seed(0)
    fields, length = declared.fields(), round(sizes.mean)
    decodes = run.text.decodes or fields[-1]
    encodes = run.text.encodes or decodes
    splits = {}
    for split in SPLITS:
        texts = sizes.texts[split]
        found = {}
        for name in (decodes, *(name for name in fields if name != decodes)):
            ids = torch.randint(len(SPECIALS), len(words), (texts * length,), generator=random)
            found[name] = Texts(ids.to(torch.int32), torch.arange(texts + 1) * length)
        labels = {name: torch.arange(texts) % CLASSES for name in declared.labels()}
        splits[str(split)] = replace(
            found.pop(decodes), others=found, labels=labels, decodes=decodes, encodes=encodes
        )
    return Prepared(
        folder=Path(),
        name=run.corpus,
        title="",
        comparable=False,
        rules=run.text,
        vocabularies=dict.fromkeys(fields, Vocabulary(words)),
        splits=splits,
        data_hash="assumed",
        exact=None,
        labels={name: [str(i) for i in range(CLASSES)] for name in declared.labels()},
        decodes=decodes,
        encodes=encodes,
    )
