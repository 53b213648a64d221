rule fetch:
    output:
        "<results>/sources/{corpus}.json",
    log:
        "<results>/logs/fetch/{corpus}.log",
    localrule: True
    params:
        files=source_identity,
    shell:
        "python -m bench fetch {wildcards.corpus} --out {output} {MIRROR} > {log} 2>&1"


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
        identity=corpus_identity,
        code=corpus_code,
    shell:
        "python -m bench prepare {wildcards.paper} {wildcards.corpus} --sources {input.sources} "
        "--out $(dirname {output.summary}) --settings {SETTINGS} > {log} 2>&1"
