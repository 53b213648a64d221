# A complete report removes the partial one that an earlier failure left.
rule report:
    input:
        measurements_of_report,
    output:
        report("<results>/{report}/index.html", category="Report"),
    log:
        "<results>/logs/{report}.log",
    localrule: True
    params:
        request=request_of_report,
        declared=declared_of_report,
        version=STAGES["report"],
    shell:
        "python -m bench report --results {config[results]:q} --out {config[results]:q}/{wildcards.report} "
        "--supersedes {config[results]:q}/report-partial --request {params.request:q} > {log} 2>&1"
