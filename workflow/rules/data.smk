rule fetch:
    output:
        "<results>/sources/{corpus}.json",
    log:
        "<results>/logs/fetch/{corpus}.log",
    localrule: True
    params:
        files=of(ASKED.source_identity, "corpus"),
    shell:
        "python -m bench fetch {wildcards.corpus:q} --out {output:q} {MIRROR} > {log:q} 2>&1"


rule prepare:
    input:
        sources="<results>/sources/{corpus}.json",
    output:
        "<results>/corpora/{paper}/{corpus}/vocabulary.json",
        "<results>/corpora/{paper}/{corpus}/ids.safetensors",
        "<results>/corpora/{paper}/{corpus}/card.json",
        summary="<results>/corpora/{paper}/{corpus}/corpus.json",
    log:
        "<results>/logs/prepare/{paper}/{corpus}.log",
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        identity=of(ASKED.corpus_identity, "paper", "corpus"),
    shell:
        "python -m bench prepare {wildcards.paper:q} {wildcards.corpus:q} --sources {input.sources:q} "
        '--out "$(dirname {output.summary:q})" {SETTINGS} > {log:q} 2>&1'
