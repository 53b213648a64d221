"""A probabilistic grammar of English-looking sentences whose entropies are computed, not estimated.

declare.py   what grammar.yaml and lexicon.yaml may say; one size of them as a :class:`Grammar`
english.py   inflection, and the article a/an
lexicon.py   the word classes of one size and their distributions
machine.py   the grammar as an automaton over word classes, made as it is needed
exact.py     entropy, information about each attribute, mean length
score.py     log-probability of sentences and posterior of their attributes
sample.py    plan (what is said: attributes), then skeleton, then words (how it is realised)
"""
