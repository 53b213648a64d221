"""Contracts of the parts of a model, as the type checker sees them; the conformance test looks at all parts.

A class that breaks its contract makes this file fail the type checker.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.base.registry import registry
from bench.models.conditions import ConditionalGaussian, GRUCondition
from bench.models.contracts import Condition, Decoder, Encoder, PosteriorNetwork, Prior, SignalMap, Space
from bench.models.convolution import CNNDecoder
from bench.models.decoders import GRUDecoder
from bench.models.encoders import GRUEncoder
from bench.models.flows import PlanarFlowPosterior, PlanarFlowSignal
from bench.models.layer_norm_lstm import LayerNormLSTMDecoder, LayerNormLSTMEncoder
from bench.models.lstm import LSTMDecoder, LSTMEncoder
from bench.models.mixture_priors import MixtureOfGaussians, VampPrior, WrappedVampPrior
from bench.models.poincare import PoincareBall
from bench.models.posteriors import GaussianPosterior, PointPosterior
from bench.models.priors import StandardNormal
from bench.models.real_nvp import RealNVP
from bench.models.sampled import AffineNoisePosterior, ImplicitPosterior
from bench.models.signals import Hyperbolic, Identity
from bench.models.signals import PerceptronSignal as MLP
from bench.models.spaces import Euclidean, Sphere
from bench.models.transformer import TransformerDecoder
from bench.models.von_mises_fisher import UniformSphere, VonMisesFisherPosterior
from bench.models.wrapped import WrappedImplicitPosterior, WrappedNormal, WrappedNormalPosterior
from bench.objectives.adversarial import Adversarial, Discrimination
from bench.objectives.contracts import Term, Weight
from bench.objectives.deviations import Deviation, DeviationGradient
from bench.objectives.divergences import KL, DeviationKL
from bench.objectives.dual import DensityRatio, Dual, DualPrior
from bench.objectives.flows import FlowKL, Kernel, LogDeterminant
from bench.objectives.free_bits import FreeBits
from bench.objectives.importance import ImportanceBound
from bench.objectives.matching import Matching
from bench.objectives.mmd import MMD
from bench.objectives.reconstruction import Reconstruction, TwinReconstruction
from bench.objectives.weights import (
    Constant,
    Cyclical,
    Falling,
    Linear,
    PeakStopped,
    PIControlled,
    Sigmoid,
    Tanh,
)
from bench.training.aggressive import Aggressive
from bench.training.clustered import Clustered
from bench.training.procedures import Alternating, Procedure, Standard
from bench.training.semi_amortised import SemiAmortised

ENCODERS: list[type[Encoder]] = [GRUEncoder, LSTMEncoder, LayerNormLSTMEncoder]
CONDITIONS: list[type[Condition]] = [GRUCondition]
POSTERIORS: list[type[PosteriorNetwork]] = [
    GaussianPosterior,
    PointPosterior,
    PlanarFlowPosterior,
    VonMisesFisherPosterior,
    AffineNoisePosterior,
    ImplicitPosterior,
    WrappedNormalPosterior,
    WrappedImplicitPosterior,
]
PRIORS: list[type[Prior]] = [
    StandardNormal,
    UniformSphere,
    MixtureOfGaussians,
    VampPrior,
    RealNVP,
    WrappedNormal,
    WrappedVampPrior,
    ConditionalGaussian,
]
SPACES: list[type[Space]] = [Euclidean, Sphere, PoincareBall]
SIGNALS: list[type[SignalMap]] = [MLP, Identity, Hyperbolic, PlanarFlowSignal]
DECODERS: list[type[Decoder]] = [
    GRUDecoder,
    LSTMDecoder,
    LayerNormLSTMDecoder,
    CNNDecoder,
    TransformerDecoder,
]
TERMS: list[type[Term]] = [
    KL,
    DeviationKL,
    Deviation,
    DeviationGradient,
    FreeBits,
    MMD,
    Matching,
    Reconstruction,
    TwinReconstruction,
    Discrimination,
    Adversarial,
    DensityRatio,
    Dual,
    DualPrior,
    ImportanceBound,
    FlowKL,
    LogDeterminant,
    Kernel,
]
WEIGHTS: list[type[Weight]] = [
    Constant,
    Linear,
    Cyclical,
    Falling,
    Tanh,
    PeakStopped,
    PIControlled,
    Sigmoid,
]
PROCEDURES: list[type[Procedure]] = [Standard, Aggressive, SemiAmortised, Alternating, Clustered]


def test_every_part_of_the_package_is_checked() -> None:
    checked: dict[str, Sequence[type]] = {
        "encoder": ENCODERS,
        "condition": CONDITIONS,
        "posterior": POSTERIORS,
        "prior": PRIORS,
        "space": SPACES,
        "signal": SIGNALS,
        "decoder": DECODERS,
        "term": TERMS,
        "weight": WEIGHTS,
        "procedure": PROCEDURES,
    }
    for choice, classes in checked.items():
        registered = {(entry.module, entry.name) for entry in registry()[choice].values()}
        assert {(one.__module__, one.__name__) for one in classes} == registered
