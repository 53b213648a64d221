"""All mechanisms at once, in a user's own folder: nothing of the package is edited.

A prior that is learned, a critic with an optimiser of its own whose updates alternate with those of the model, a
corpus of pairs, a measure that needs an evaluator, and the paper that asks for them: trained, killed, resumed,
measured, and found in the report.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas
import pytest

from bench.base.files import read_json

ROOT = Path(__file__).parents[1]
RUN = "demo/mine/generated-pairs-tiny/mixture-gan/seed0"
STEPS = 40

FILES = {
    "parts/mixture.py": '''
"""A mixture of Gaussians as a prior."""

import math

import torch
from torch import Tensor, nn

from bench.base.registry import part


@part("prior", "mixture")
class Mixture(nn.Module):
    """Gaussians with equal weights, whose means and scales are learned."""

    def __init__(self, latent: int, *, components: int = 3) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.linspace(-1, 1, components)[:, None].repeat(1, latent))
        self.log_std = nn.Parameter(torch.zeros(components, latent))

    def log_prob(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """ln p(z) in nats (...) of codes (..., d)."""
        scaled = (z.unsqueeze(-2) - self.mean) * torch.exp(-self.log_std)
        each = (-0.5 * scaled.square() - self.log_std - 0.5 * math.log(2 * math.pi)).sum(-1)
        return torch.logsumexp(each, -1) - math.log(len(self.mean))

    def sample(self, count: int, generator: torch.Generator, condition: Tensor | None = None) -> Tensor:
        """Codes (count, d)."""
        place = generator.device
        noise = torch.empty(count, self.mean.shape[1], device=place).normal_(generator=generator)
        chosen = torch.randint(len(self.mean), (count,), generator=generator, device=place).to(self.mean.device)
        return self.mean[chosen] + self.log_std[chosen].exp() * noise.to(self.mean)
''',
    "measures/replies.py": '''
"""How likely an n-gram language model finds the reconstructed replies."""

from statistics import fmean

from bench.metrics.definitions import NATS, Definition, Metric
from bench.metrics.measures import measure


@measure(
    "replies",
    needs=("posterior", "evaluator ngram"),
    metrics=(Metric("reply_loss", "n-gram loss of replies", least=0),),
    gives=(Definition("reply_loss", "ngram", NATS, "exact", "Mean loss of reconstructed replies.", main=True),),
)
def replies(context, record):
    model = context.evaluator("ngram")
    texts = [ids for of_text in context.reconstructions() for ids in of_text]
    record.add("reply_loss", "ngram", fmean(model.loss(ids) for ids in texts), texts=len(texts))
''',
    "papers/mine/paper.yaml": f"""
title: A paper of one's own
short: Mine
authors: A. Nonymous
year: 2026
venue: none
corpora: [generated-pairs-tiny]
evaluators: {{ngram: {{kind: kneser-ney, order: 3}}}}
protocol:
  text: {{max_length: 40}}
  embedding: 16
  latent: 4
  encoder: {{kind: gru, hidden: 16}}
  posterior: gaussian
  prior: standard-normal
  signal: mlp
  decoder: {{kind: gru, hidden: 16, projection: 16}}
  coupling: none
  objective: {{kl: {{weight: 0.1}}}}
  procedure: standard
  optimiser: {{learning_rate: 0.01}}
  training: {{steps: {STEPS}, batch: 16, validate_every: 20, log_every: 5, gradient_texts: 16}}
  evaluation: {{samples: 5, prior_samples: 16, reconstructions: 1, gradient_texts: 16}}
""",
    "papers/mine/systems.yaml": """
mixture-gan:
  title: Mixture-GAN
  extends: shared/vae
  prior: {kind: mixture, components: 4}
  objective: {kl: {weight: 0.1}, adversarial: {weight: 1.0}, discrimination: {hidden: 8, layers: 1}}
  procedure: {kind: alternating, inner: 2, inner_terms: [discrimination], inner_groups: [critic]}
  groups: {critic: {modules: [terms.discrimination], kind: rmsprop, learning_rate: 0.01}}
""",
    "papers/mine/tables.yaml": """
quantities:
  nll: {metric: nll, estimator: importance-sampling, decimals: 1, better: lower}
  reply_loss: {metric: reply_loss, estimator: ngram, decimals: 2}
tables:
  - id: table1
    printed: Table 1
    title: What is measured
    corpora: [generated-pairs-tiny]
    columns: [nll, reply_loss]
    rows: [{label: Mixture-GAN, system: mixture-gan}]
""",
    "papers/mine/tiers.yaml": """
demo:
  corpora: [generated-pairs-tiny]
""",
    "papers/mine/reported.csv": "table,corpus,label,setting,metric,value,unit,bold,note\n"
    "Table 1,generated-pairs-tiny,Mixture-GAN,,nll,12.5,nats,0,made up\n",
}
SETTINGS = f'{{"training": {{"steps": {STEPS}, "validate_every": 20}}}}'


def bench(folder: Path, *arguments: str, **more: str) -> subprocess.Popen[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BENCH_", "SNAKEMAKE_"))}
    env = kept | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "BENCH_CATALOG": "mine", **more}
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def done(folder: Path, *arguments: str, **more: str) -> str:
    process = bench(folder, *arguments, **more)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return output


def train(folder: Path, *more: str) -> str:
    return done(folder, "train", RUN, "--settings", SETTINGS, "--threads", "1", *more)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with the user's folder and the prepared corpus of pairs."""
    folder = tmp_path_factory.mktemp("own")
    for name, text in FILES.items():
        path = folder / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip(), encoding="utf-8")
    corpus, source = "generated-pairs-tiny", "results/sources/pairs.json"
    done(folder, "fetch", corpus, "--out", source)
    done(folder, "prepare", "mine", corpus, "--sources", source, "--out", f"results/corpora/mine/{corpus}")
    return folder


@pytest.fixture(scope="module")
def resumed(own: Path) -> tuple[Path, Path]:
    """The run folders of a training that was killed and went on, and of one that was left alone."""
    process = bench(own, "train", RUN, "--settings", SETTINGS, "--threads", "1", BENCH_CHECKPOINT_SECONDS="0")
    states = own / "results" / "state"
    limit = time.monotonic() + 300
    while not (found := list(states.glob("*/checkpoint.safetensors"))) and process.poll() is None:
        assert time.monotonic() < limit
        time.sleep(0.01)
    assert found, "it ended before its first checkpoint was seen"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (own / "results" / "runs" / RUN / "run.json").exists()
    assert "resumes after step" in train(own)
    train(own, "--out", "alone", "--state", "alone-state")
    return own / "results" / "runs" / RUN, own / "alone" / RUN


def test_a_training_that_was_killed_ends_as_one_that_was_not(resumed: tuple[Path, Path]) -> None:
    killed, alone = (read_json(folder / "run.json") for folder in resumed)
    assert killed["files"]["model.safetensors"] == alone["files"]["model.safetensors"]
    assert killed["cost"]["attempts"] == 2
    assert killed["parameters"]["prior"] == 2 * 4 * 4
    assert killed["parameters"]["terms.discrimination"] > 0
    assert {"mine/parts/mixture.py"} <= killed["provenance"]["own_files"].keys()
    logged = [pandas.read_parquet(folder / "training.parquet") for folder in resumed]
    assert {"kl", "adversarial", "discrimination", "reconstruction"} <= set(logged[0].columns)
    timed = ["seconds", "tokens_per_second"]
    first, second = (table.drop(columns=timed) for table in logged)
    pandas.testing.assert_frame_equal(first, second)


def test_it_is_measured_by_an_evaluator_and_found_in_the_report(
    resumed: tuple[Path, Path], own: Path
) -> None:
    done(own, "evaluate", RUN, "--settings", SETTINGS, "--threads", "1")
    measured = {m["metric"]: m for m in read_json(resumed[0] / "measurements.json")["measurements"]}
    assert measured["reply_loss"]["value"] > 0
    assert measured["nll"]["value"] > 0
    (record,) = (own / "results" / "evaluators").rglob("evaluator.json")
    assert read_json(record)["settings"]["kind"] == "kneser-ney"
    request = f'{{"tier": "demo", "papers": ["mine"], "settings": {SETTINGS}}}'
    done(own, "report", "--results", "results", "--out", "results/report", "--request", request)
    (table,) = (own / "results" / "report" / "tables").glob("*table1.csv")
    rows = pandas.read_csv(table)
    found = rows.set_index("metric").loc["reply_loss"]
    assert found["measured"] == pytest.approx(measured["reply_loss"]["value"])
    pages = (own / "results" / "report" / "papers" / "mine").glob("*.html")
    page = "".join(path.read_text(encoding="utf-8") for path in pages)
    assert "Mixture-GAN" in page
    assert "n-gram loss of replies" in page
