"""Evaluation as a step of the workflow: from a run's best weights to its measurements on the test split."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import sacrebleu
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench.base.device import choose_device, prepare_process, product_type
from bench.base.errors import BenchError
from bench.base.files import read_json, remove_parts, sha256_file, write_json, write_with
from bench.base.identity import evaluation_versions
from bench.base.locks import locked
from bench.base.outputs import RUNS, claim
from bench.base.seeds import derive_seed
from bench.base.settings import RunSettings
from bench.corpora.batches import Collator
from bench.corpora.prepared import Prepared
from bench.estimators.gradients import gradient_norms
from bench.estimators.information import AGGREGATE_CODES, active_units, mutual_information, sigma_histogram
from bench.estimators.likelihood import Infer, posteriors, text_likelihoods
from bench.metrics.decoding import greedy
from bench.metrics.definitions import ALL, GRADIENTS, INFORMATION, LIKELIHOOD, RECONSTRUCTION, wanted
from bench.metrics.kept import Kept
from bench.metrics.measures import measures
from bench.metrics.ngrams import COUNTS, bleu_counts, cumulative_bleu2, precision_times_brevity
from bench.metrics.table import Sheet
from bench.models.distributions import Latent
from bench.models.model import TextModel
from bench.models.noise import TextSource
from bench.store.freshness import (
    STATUS,
    WEIGHTS,
    failure_noted,
    is_training_of,
    measured_record,
    to_measure,
)
from bench.store.provenance import provenance
from bench.training.composition import Composition

SPLIT = "test"
FILES = ("measurements.json", "sentences.parquet", "texts.json", "histograms.json", "latents.safetensors")


def evaluate_run(
    settings: RunSettings, corpora: Path, runs: Path, *, device: str, threads: int | None
) -> dict[str, Any]:
    """Measure a trained run and write its measurement files; returns the content of ``measurements.json``.

    What is there of these weights and settings stays; measured are the measures that are missing or have another
    version. Waits for another process that works on the run. Raises :class:`BenchError` if the run is not there,
    is damaged, or was trained on other data or under other settings.
    """
    prepare_process(threads)
    folder = runs / settings.name
    read_json(folder / "run.json")  # without a run there is no folder to lock
    corpus = Prepared.load(corpora / settings.paper / settings.corpus)
    claim(runs, RUNS)
    with locked(folder, f"the evaluation of {settings.name}", wait=True):
        run = read_json(folder / "run.json")
        if not is_training_of(run, settings, runs):
            remedy = f"train the run again: bench train {settings.name}"
            raise BenchError("the run was trained under another configuration", where=folder, remedy=remedy)
        check_run(run, corpus, folder)
        before = measured_record(settings, runs, run)
        with failure_noted(folder, settings.name):
            return _evaluated(run, settings, corpus, folder, choose_device(device), threads, before)


def _evaluated(
    run: dict[str, Any],
    settings: RunSettings,
    corpus: Prepared,
    folder: Path,
    device: torch.device,
    threads: int | None,
    before: dict[str, Any] | None,
) -> dict[str, Any]:
    began, started = time.perf_counter(), datetime.now(UTC)
    remove_parts(folder)
    (folder / STATUS).unlink(missing_ok=True)
    asked = to_measure(before, wanted())
    kept = None if before is None else Kept.load(folder, before, asked)
    if before is None or kept is None:
        before, kept = {}, None
        for name in FILES:  # a run that is trained again and diverges must not keep those of before
            (folder / name).unlink(missing_ok=True)
    elif not asked:
        (folder / "measurements.json").touch()  # the workflow goes by its time
        return dict(before)
    finished = run["state"] == "finished"
    measured = Evaluation(settings, corpus, folder, device, asked, kept).measure() if finished else []
    content = {
        "name": settings.name,
        "identity": settings.identity,
        "versions": evaluation_versions(),
        "evaluation": settings.evaluation.model_dump(mode="json"),
        "measures": wanted(),
        "data_hash": corpus.data_hash,
        "state": run["state"],
        "reason": run["reason"],
        "weights_sha256": run["files"][WEIGHTS],
        "provenance": {
            **provenance(device=str(device), threads=threads or torch.get_num_threads()),
            "started": started.isoformat(timespec="seconds"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        },
        "earlier": [*before.get("earlier", ()), before["provenance"]] if before else [],
        "seconds": time.perf_counter() - began + before.get("seconds", 0.0),
        "measurements": measured,
    }
    write_json(folder / "measurements.json", content)
    return content


def check_run(run: dict[str, Any], corpus: Prepared, folder: Path) -> None:
    """Raise :class:`BenchError` unless the weights in ``folder`` are those of ``run``, trained on this corpus."""
    again = f"train the run again: bench train {run['name']}"
    if run["data_hash"] != corpus.data_hash:
        raise BenchError("the run was trained on other data", where=folder, remedy=again)
    weights = folder / WEIGHTS
    if not weights.exists():
        raise BenchError("the weights of the run are not there", where=weights, remedy=again)
    found, expected = sha256_file(weights), run["files"][WEIGHTS]
    if found != expected:
        raise BenchError(
            f"damaged weights: expected sha256 {expected}, found {found}", where=folder, remedy=again
        )


class Evaluation:
    """All measurements of one run. Results depend on the run and its settings, not on how work is batched."""

    def __init__(
        self,
        settings: RunSettings,
        corpus: Prepared,
        folder: Path,
        device: torch.device,
        asked: frozenset[str] | None = None,
        kept: Kept | None = None,
    ) -> None:
        """``folder`` holds the weights and receives the tables.

        Without ``kept`` measurements all is measured, else the measures that are ``asked`` for by name.
        """
        self.kept, self.asked = kept, asked if kept is not None and asked is not None else ALL
        self.settings, self.corpus, self.folder, self.device = settings, corpus, folder, device
        self.wanted = settings.evaluation
        self.composition = Composition(settings, len(corpus.vocabulary))
        self.composition.load_state_dict(load_file(folder / WEIGHTS))
        self.model: TextModel = self.composition.to(device).model.eval().requires_grad_(False)
        self.infer = self.composition.procedure.inference(self.model)
        self.texts = Collator(corpus.splits[SPLIT], device)
        self.sheet = Sheet(SPLIT, self.texts.lengths.astype(np.int64), None if kept is None else self.asked)
        self.shown: dict[str, Any] = {
            "samples": [],
            "reconstructions": [],
            "interpolations": [],
            "traversals": [],
        } | (kept.texts if kept else {})
        self.histograms: dict[str, Any] = {"sigma": None, "units": None} | (kept.histograms if kept else {})

    def measure(self) -> list[dict[str, Any]]:
        """Measure what is asked for and this system has, and write the tables; returns what is measured in all."""
        if self.asked & (LIKELIHOOD | INFORMATION):  # information takes the KL from its columns
            self._likelihood()
        if self.model.encoder is not None:
            self._measure_codes(self.posteriors(self.texts))
        frame, measured = self.sheet.frame(), self.sheet.measurements
        if self.kept is not None:
            frame, measured = self.kept.joined(frame), self.kept.measurements + measured
        write_with(self.folder / "sentences.parquet", frame.to_parquet)
        write_json(self.folder / "texts.json", self.shown)
        write_json(self.folder / "histograms.json", self.histograms)
        return measured

    def _measure_codes(self, latent: Latent) -> None:
        """Measure what a system has that has codes."""
        if self.asked & RECONSTRUCTION:
            self._reconstruction(latent)
        if self.asked & GRADIENTS:
            self._gradients()
        if self.asked & INFORMATION and latent.has_density:
            self._information(latent)
        if self.kept is None:
            self._interpolations(latent)
            self._traversals(latent)
        if self.asked - (LIKELIHOOD | RECONSTRUCTION | GRADIENTS | INFORMATION):
            for measure in measures():
                measure(self, latent)
        save = {name: value.cpu().contiguous() for name, value in latent.parameters.items()}
        write_with(self.folder / "latents.safetensors", lambda path: save_file(save, path))

    def noise(self, *names: object) -> tuple[object, ...]:
        """Names that seed random numbers of this run's evaluation."""
        return ("evaluation", self.settings.corpus, self.settings.seed, *names)

    def likelihoods(self, infer: Infer) -> dict[str, np.ndarray]:
        """Columns of the test split's likelihoods with the posteriors of ``infer``."""
        dtype = product_type(self.device, self.settings.training.precision)
        names = self.noise("codes")
        return text_likelihoods(self.model, self.texts, self.wanted.samples, *names, infer=infer, dtype=dtype)

    def _likelihood(self) -> None:
        sheet, count = self.sheet, self.wanted.samples
        sheet.columns |= self.likelihoods(self.infer)
        language_model = self.model.encoder is None
        samples = None if language_model else count
        if "nll" in sheet.columns:
            estimator = "exact" if language_model else "importance-sampling"
            sheet.add_mean("nll", estimator, "nll", samples)
            sheet.add_perplexity(estimator, "nll", samples)
            truth = self.corpus.attributes(SPLIT) if self.corpus.exact is not None else None
            if truth is not None:
                sheet.columns["true_log_probability"] = truth["log_probability"].to_numpy(dtype=float)
                sheet.columns["excess_nll"] = sheet.columns["nll"] + sheet.columns["true_log_probability"]
                sheet.add_mean("excess_nll", "over-true-probability", "excess_nll", samples)
        for metric, estimator, column in (
            ("elbo", "one-bound", "elbo"),
            ("kl", "analytic", "kl_analytic"),
            ("kl", "monte-carlo", "kl_monte_carlo"),
            ("reconstruction", "mean", "reconstruction"),
        ):
            if column in sheet.columns:
                exact = column == "kl_analytic" or "kl_monte_carlo" not in sheet.columns
                sheet.add_mean(metric, estimator, column, None if exact else samples)

    def posteriors(self, texts: Collator) -> Latent:
        """The posteriors of all texts of a split, in corpus order."""
        return posteriors(self.infer, texts, np.arange(len(texts.lengths)))

    def codes(self, latent: Latent, samples: int, *names: object) -> Tensor:
        """Codes (texts, samples, d), the same for a text whatever else is measured."""
        index = torch.arange(len(latent.center()), device=self.device)
        return latent.sample(TextSource(index, *self.noise(*names)), samples)[0]

    @torch.no_grad()
    def _information(self, latent: Latent) -> None:
        sheet = self.sheet
        codes = self.codes(latent, self.wanted.samples, "codes")
        name = "kl_analytic" if "kl_analytic" in sheet.columns else "kl_monte_carlo"
        kl = torch.as_tensor(sheet.columns[name], device=self.device)
        block = self.wanted.information_block
        lengths = torch.as_tensor(self.texts.lengths, device=self.device)
        found = mutual_information(latent, codes, kl, lengths, self.model.prior, block)
        for name, values in vars(found).items():
            most = AGGREGATE_CODES if name == "aggregate" else self.wanted.samples
            sheet.columns[f"mi_{name}"] = values.cpu().numpy()
            sheet.add_mean("mi", name.replace("_", "-"), f"mi_{name}", min(most, self.wanted.samples))
        units, variance = active_units(latent.center())
        sheet.add("active_units", "variance-of-means", units, texts=len(kl))
        if "log_std" in latent.parameters:
            self.histograms["sigma"] = sigma_histogram(latent.parameters["log_std"])
        self.histograms["units"] = {"variance": variance.tolist()}
        terms = latent.kl_terms(self.model.prior)
        if terms is not None and terms.shape[-1] == len(variance):  # a term for each dimension
            self.histograms["units"]["kl"] = terms.mean(0).tolist()

    def words(self, decoded: list[list[int]]) -> list[list[str]]:
        """Texts of ids as texts of words."""
        return [self.corpus.vocabulary.decode(ids) for ids in decoded]

    def _reconstruction(self, latent: Latent) -> None:
        """Greedy reconstructions from sampled codes; a deterministic code needs only one."""
        sheet, texts = self.sheet, self.corpus.raw(SPLIT)
        samples = self.wanted.reconstructions if latent.stochastic else 1
        codes = self.codes(latent, samples, "codes")
        by_text = self._bleu(codes, texts, unknown=False)
        self._bleu(codes, texts, unknown=True)
        references = [" ".join(text) for text in texts for _ in range(samples)]
        outputs = [" ".join(output) for found in by_text for output in found]
        bleu = sacrebleu.corpus_bleu(outputs, [references], tokenize="none", force=True)
        sheet.add("bleu", "sacrebleu", bleu.score, texts=len(texts), samples=samples)
        shown = self._chosen(self.wanted.examples)
        centers = self.words(greedy(self.model, latent.center()[shown], self.wanted.longest))
        self.shown["reconstructions"] = [
            {
                "index": int(i),
                "input": " ".join(texts[i]),
                "center": " ".join(center),
                "outputs": [" ".join(output) for output in by_text[i]],
            }
            for i, center in zip(shown, centers, strict=True)
        ]

    def _bleu(self, codes: Tensor, texts: list[list[str]], *, unknown: bool) -> list[list[list[str]]]:
        """Decode codes (texts, samples, d) and measure them; ``unknown`` lets the unknown word be written."""
        samples = codes.shape[1]
        outputs = self.words(greedy(self.model, codes.flatten(0, 1), self.wanted.longest, unknown=unknown))
        by_text = [outputs[i : i + samples] for i in range(0, len(outputs), samples)]
        counts = np.array([bleu_counts(o, t) for o, t in zip(by_text, texts, strict=True)], dtype=np.int64)
        suffix = "-unmasked" if unknown else ""
        for column, values in zip(COUNTS, counts.T, strict=True):
            self.sheet.columns[f"bleu_{column}{suffix.replace('-', '_')}"] = values
        statistics: list[tuple[str, str, Callable[[np.ndarray], np.ndarray]]] = [
            ("bleu1", "precision-times-brevity", lambda c: precision_times_brevity(c, 1)),
            ("bleu2", "precision-times-brevity", lambda c: precision_times_brevity(c, 2)),
            ("bleu2", "cumulative", cumulative_bleu2),
        ]
        for metric, estimator, statistic in statistics:
            value, spread = float(statistic(counts.sum(0))), self._bootstrap(statistic, counts)
            name = estimator + suffix
            self.sheet.add(metric, name, value, texts=len(texts), samples=samples, spread=spread)
        return by_text

    def _chosen(self, count: int) -> list[int]:
        """Some texts to show, the same for every system of a corpus."""
        random = np.random.Generator(np.random.PCG64(derive_seed("shown", self.settings.corpus)))
        total = len(self.texts.lengths)
        return sorted(random.choice(total, size=min(count, total), replace=False).tolist())

    def _bootstrap(self, statistic: Any, counts: np.ndarray, draws: int = 1000) -> tuple[float, float, float]:
        """Standard error and 95 % interval of a ratio of sums, over texts."""
        random = np.random.Generator(np.random.PCG64(derive_seed(*self.noise("bootstrap"))))
        weights = random.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=draws)
        values = statistic(weights @ counts)
        low, high = np.quantile(values, [0.025, 0.975])
        return float(values.std(ddof=1)), float(low), float(high)

    def _gradients(self) -> None:
        """The four ways of averaging each gradient norm."""
        objective = self.composition.objective
        limit = self.wanted.gradient_texts or len(self.texts.lengths)
        chosen = np.arange(min(limit, len(self.texts.lengths)))
        for mode in ("training", "evaluation"):
            norms = gradient_norms(
                self.model,
                objective,
                self.texts,
                chosen,
                self.wanted.gradient_batch,
                *self.noise("gradients"),
                training_mode=mode == "training",
            )
            for metric, values in norms.items():
                column = f"{metric}_{mode}"
                self.sheet.columns[column] = np.full(len(self.texts.lengths), np.nan)
                self.sheet.columns[column][chosen] = values
                self.sheet.add_mean(metric, f"norm-{mode}-mode", column)
                self.sheet.add_mean(metric, f"squared-{mode}-mode", column, power=2)

    def _interpolations(self, latent: Latent, pairs: int = 3, inner: int = 5) -> None:
        """Greedy texts between the centres of two texts."""
        texts = self.corpus.raw(SPLIT)
        chosen = self._chosen(2 * pairs)
        for a, b in zip(chosen[0::2], chosen[1::2], strict=False):
            steps = self.interpolate(latent, a, b, inner)
            self.shown["interpolations"].append(
                {"from": " ".join(texts[a]), "to": " ".join(texts[b]), "steps": steps}
            )

    def interpolate(self, latent: Latent, first: int, last: int, inner: int) -> list[str]:
        """Greedy texts of two texts' centres and of ``inner`` codes between them.

        These are at equal distances on the way that the space of the codes has between two of them.
        """
        shares = torch.linspace(0, 1, inner + 2, device=self.device)
        center = latent.center()
        return self._decoded(self.model.space.between(center[first], center[last], shares))

    def _decoded(self, codes: Tensor) -> list[str]:
        """The greedy texts of codes (n, d)."""
        return [" ".join(words) for words in self.words(greedy(self.model, codes, self.wanted.longest))]

    @torch.no_grad()
    def _traversals(self, latent: Latent, dimensions: int = 4) -> None:
        """Greedy texts from the centre of one text, moved along the dimensions in which the centres vary most.

        A step is one standard deviation of the codes of all texts in that dimension, so that a traversal stays
        where the model has seen codes, whatever its prior.
        """
        (chosen,) = self._chosen(1)
        source = " ".join(self.corpus.raw(SPLIT)[chosen])
        center, spread = latent.center(), self.codes(latent, 1, "codes").squeeze(1).std(0)
        shifts = torch.arange(-2.0, 3.0, device=self.device)
        for unit in center.var(0).topk(min(dimensions, center.shape[1])).indices.tolist():
            shift = center.new_zeros(len(shifts), center.shape[1])
            shift[:, unit] = shifts * spread[unit]
            steps = self._decoded(self.model.space.move(center[chosen], shift))
            self.shown["traversals"].append(
                {
                    "from": source,
                    "dimension": unit,
                    "step": float(spread[unit]),
                    "shifts": shifts.tolist(),
                    "steps": steps,
                }
            )
