"""Declarations of systems, papers, corpora and tiers, and what reads them into typed objects."""
