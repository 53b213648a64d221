# The file is updated, so not deleted before: what is measured stays where only other measures are asked for.
rule evaluate:
    input:
        of(ASKED.corpus_of, "run"),
        "<results>/runs/{run}/run.json",
    output:
        update("<results>/runs/{run}/measurements.json"),
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
        identity=of(ASKED.evaluation_identity, "run"),
    shell:
        "python -m bench evaluate {wildcards.run:q} --corpora {config[results]:q}/corpora --runs {config[results]:q}/runs "
        "--threads {threads} {SETTINGS} {COMPUTE} > {log:q} 2>&1"
