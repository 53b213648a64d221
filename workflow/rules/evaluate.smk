rule evaluate:
    input:
        of(ASKED.corpus_of, "run"),
        "<results>/runs/{run}/run.json",
    output:
        "<results>/runs/{run}/measurements.json",
    log:
        "<results>/logs/evaluate/{run}.log",
    benchmark:
        "<results>/logs/evaluate/{run}.jsonl"
    threads: config["threads_per_run"]
    resources:
        gpu=ON_GPU,
        mem_mb=needed("evaluate", "mem_mb"),
        runtime=needed("evaluate", "minutes"),
    params:
        identity=of(ASKED.identity, "run", stage="evaluate"),
        code=of(ASKED.code, "run", stage="evaluate"),
    shell:
        "python -m bench evaluate {wildcards.run:q} --corpora {config[results]:q}/corpora --runs {config[results]:q}/runs "
        "--threads {threads} {SETTINGS} {COMPUTE} > {log:q} 2>&1"
