"""Where text comes from: sources, fetching and verifying, readers, vocabulary, prepared folders."""
