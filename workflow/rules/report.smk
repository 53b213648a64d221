# A complete report removes the partial one that an earlier failure left.
rule report:
    input:
        of(ASKED.measurements_of_report, "report"),
    output:
        report("<results>/{report}/index.html", category="Report"),
    log:
        "<results>/logs/{report}.log",
    localrule: True
    threads: 4
    params:
        request=of(ASKED.request_of_report, "report"),
        declared=of(ASKED.declared_of_report, "report"),
        version=ASKED.report_version(),
    shell:
        "python -m bench report --results {config[results]:q} --out {config[results]:q}/{wildcards.report:q} "
        "--supersedes {config[results]:q}/report-partial --request {params.request:q} --workers {threads} > {log:q} 2>&1"
