# The resumable state lies in <results>/state and is not declared: declared outputs are deleted before each attempt.
# With it an attempt goes on where the last one was stopped, so that retries, which a profile asks for, turn a time
# limit into a pause.
rule train:
    input:
        of(ASKED.corpus_of, "run"),
        of(ASKED.start_of, "run"),
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
        mem_mb=needed("train", "mem_mb"),
        runtime=needed("train", "minutes"),
    params:
        identity=of(ASKED.training_identity, "run"),
    shell:
        "python -m bench train {wildcards.run:q} --corpora {config[results]:q}/corpora --out {config[results]:q}/runs "
        "--state {config[results]:q}/state --wait --evaluate-short --threads {threads} {SETTINGS} {COMPUTE} > {log:q} 2>&1"
