# The resumable state lies in <results>/state and is not declared: declared outputs are deleted before each attempt.
# With it an attempt goes on where the last one was stopped, so that retries, which a profile asks for, turn a time
# limit into a pause.
rule train:
    input:
        corpus_of_run,
        start_of_run,
    output:
        "<results>/runs/{run}/model.safetensors",
        "<results>/runs/{run}/training.parquet",
        "<results>/runs/{run}/validation.parquet",
        "<results>/runs/{run}/run.json",
    log:
        "<results>/logs/train/{run}.log",
    benchmark:
        "<results>/logs/train/{run}.jsonl"
    threads: config["threads_per_run"]
    resources:
        gpu=ON_GPU,
        mem_mb=needed(training_needs, "mem_mb"),
        runtime=needed(training_needs, "minutes"),
    params:
        identity=training_identity,
    shell:
        "python -m bench train {wildcards.run} --corpora {config[results]:q}/corpora --out {config[results]:q}/runs "
        "--state {config[results]:q}/state --wait --threads {threads} {COMPUTE} > {log} 2>&1"
