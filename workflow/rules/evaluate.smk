# The file is updated, so not deleted before: what is measured stays where only other measures are asked for.
rule evaluate:
    input:
        corpus_of_run,
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
        mem_mb=needed(evaluation_needs, "mem_mb"),
        runtime=needed(evaluation_needs, "minutes"),
    params:
        identity=evaluation_identity,
    shell:
        "python -m bench evaluate {wildcards.run} --corpora {config[results]:q}/corpora --runs {config[results]:q}/runs "
        "--threads {threads} {COMPUTE} > {log} 2>&1"
