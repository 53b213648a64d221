# From the download of a corpus to the report, one rule per arrow: fetch -> prepare -> train -> evaluate -> report
#
# snakemake --cores 4                          what workflow/config/config.yaml asks for: the demo
# snakemake --cores 4 coupled-vae              the tables of one paper, under the configured tier
# snakemake --cores 4 coupled-vae_table1       one table
# snakemake --cores 4 --config tier=quick systems=vae,coupled-vae

from snakemake.utils import min_version

min_version("9.19")


configfile: f"{workflow.basedir}/workflow/config/config.yaml"


include: "workflow/rules/common.smk"


pathvars:
    results=config["results"],


wildcard_constraints:
    run=r"[^/]+/[^/]+/[^/]+/[^/]+/seed\d+",
    corpus=r"[^/]+",
    paper=r"[^/]+",
    report="|".join(ASKED.report_names()),


for target in ASKED.requests:  # all is the first of them, so what is made without a target

    rule:
        name:
            target
        input:
            of(ASKED.files_of, target=target),
        localrule: True
        params:
            cost=cost_of(target),
        message:
            "{params.cost}"


include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"


onstart:
    answered(ASKED.hold_results, workflow.dag_settings.targets)
    stop_once()


onsuccess:
    print(ASKED.summary(workflow.dag_settings.targets))


onerror:
    shell(ASKED.partial_report(workflow.dag_settings.targets))
