"""Reproducibility benchmark for latent-variable text models."""

__version__ = "0.1.0"
