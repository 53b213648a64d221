"""The benchmark of the dual estimate: still that of today's code, with what is said of it, and drawn."""

from __future__ import annotations

import pytest

from bench.report import estimators
from benchmarks import dual_network as program

FOUND = estimators.dual_network()
GAME, EXACT = FOUND["games"]["dual"], FOUND["games"]["kl"]


def test_measured_again_the_file_says_the_same() -> None:
    deviation = program.DEVIATIONS[0]
    again, (kept, *_) = program.frozen(deviation, program.PASSES[:1]), FOUND["frozen"]
    assert (kept["deviation"], kept["kl"]) == (deviation, pytest.approx(again["kl"], rel=1e-4))
    assert kept["points"][0] == pytest.approx(again["points"][0], rel=0.02, abs=0.01)


@pytest.mark.parametrize("regulariser", FOUND["games"])
def test_played_again_the_game_is_the_same(regulariser: str) -> None:
    again = program.game(regulariser, program.POINTS[:2])
    for new, old in zip(again, FOUND["games"][regulariser][:2], strict=True):
        assert new == pytest.approx(old, rel=2e-3, abs=0.02)


def test_the_data_are_those_whose_density_is_told() -> None:
    data = program.Data()
    assert pytest.approx(data.nll) == FOUND["nll"]
    assert pytest.approx(data.entropy) == FOUND["entropy"]
    assert data.nll == pytest.approx(
        data.entropy, abs=4 * 8 / program.HELD_OUT**0.5
    )  # of a chi-squared's half
    assert data.texts.var(0).sum() == pytest.approx(128 + 32 * program.SIGNAL, rel=0.01)


def test_no_valid_number_is_below_what_is_possible_and_the_printed_one_is() -> None:
    for point in (*GAME, *EXACT):
        assert point["nll"] > FOUND["nll"] - 0.05
        assert point["reconstruction"] + point["kl"] > point["nll"]
    last = GAME[-1]
    assert last["reconstruction"] + last["dual"] < FOUND["nll"] - 10
    assert last["kl"] > 4 * FOUND["information"]
    assert EXACT[-1]["nll"] < last["nll"]


def test_the_dual_estimate_hardly_depends_on_the_kl() -> None:
    first, last = FOUND["frozen"][0], FOUND["frozen"][-1]
    assert last["kl"] > 6 * first["kl"]
    for row in FOUND["frozen"]:
        assert row["points"][-1]["dual"] < row["kl"]
    assert last["points"][-1]["dual"] < 3 * first["points"][-1]["dual"]
    assert last["points"][-1]["dual"] < 0.25 * last["kl"]


def test_the_figure_draws_what_is_printed_and_what_is_true() -> None:
    picture = estimators.dual_game()
    assert picture is not None
    for name in (
        "\u2212ELBO, printed",
        "\u2212ELBO",
        "NLL",
        "NLL, trained with the KL itself",
        "least possible",
    ):
        assert f">{name}<" in picture.svg
