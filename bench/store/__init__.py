"""What lies on disk: run folders, their records and texts, provenance, freshness, published runs, archives."""
