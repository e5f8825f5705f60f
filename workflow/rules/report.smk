# What is made of the results: tidy tables, tables beside the papers' numbers, figures, the page.


TABULATE = PLAN.rule("tabulate")


rule tabulate:
    input:
        job=TABULATE.job,
        plan=TABULATE.plan,
        metrics=TABULATE.input("metrics"),
        evaluate=TABULATE.input("evaluate"),
        train=TABULATE.input("train"),
        log=TABULATE.input("log"),
        curve=TABULATE.input("curve"),
        cost=TABULATE.input("cost"),
        timing=TABULATE.input("timing"),
    output:
        sidecar=TABULATE.output("sidecar"),
        experiments=TABULATE.output("experiments"),
        timed=TABULATE.output("timed"),
    log:
        TABULATE.log,
    benchmark:
        TABULATE.benchmark
    localrule: TABULATE.local
    threads: TABULATE.threads
    resources:
        **TABULATE.resources,
    params:
        python=PYTHON,
    message:
        TABULATE.message
    shell:
        "{params.python:q} -m pipeline_src run {input.job:q} > {log:q} 2>&1"


JOIN = PLAN.rule("join")


rule join:
    input:
        job=JOIN.job,
        plan=JOIN.plan,
        experiments=JOIN.input("experiments"),
        timed=JOIN.input("timed"),
    output:
        sidecar=JOIN.output("sidecar"),
        experiments=JOIN.output("experiments"),
        timed=JOIN.output("timed"),
        metrics=JOIN.output("metrics"),
    log:
        JOIN.log,
    benchmark:
        JOIN.benchmark
    localrule: JOIN.local
    threads: JOIN.threads
    resources:
        **JOIN.resources,
    params:
        python=PYTHON,
    message:
        JOIN.message
    shell:
        "{params.python:q} -m pipeline_src run {input.job:q} > {log:q} 2>&1"


TABLE = PLAN.rule("table")


rule table:
    input:
        job=TABLE.job,
        plan=TABLE.plan,
        experiments=TABLE.input("experiments"),
        timed=TABLE.input("timed"),
    output:
        sidecar=TABLE.output("sidecar"),
        csv=report(
            TABLE.output("csv"),
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}", "scale": "{scale}"},
        ),
        md=TABLE.output("md"),
        tex=TABLE.output("tex"),
    log:
        TABLE.log,
    benchmark:
        TABLE.benchmark
    localrule: TABLE.local
    threads: TABLE.threads
    resources:
        **TABLE.resources,
    params:
        python=PYTHON,
    message:
        TABLE.message
    shell:
        "{params.python:q} -m pipeline_src run {input.job:q} > {log:q} 2>&1"


SIMULATE = PLAN.rule("simulate")


rule simulate:
    input:
        job=SIMULATE.job,
        plan=SIMULATE.plan,
    output:
        sidecar=SIMULATE.output("sidecar"),
        simulation=SIMULATE.output("simulation"),
    log:
        SIMULATE.log,
    benchmark:
        SIMULATE.benchmark
    threads: SIMULATE.threads
    resources:
        **SIMULATE.resources,
    params:
        python=PYTHON,
    message:
        SIMULATE.message
    shell:
        "{params.python:q} -m pipeline_src run {input.job:q} > {log:q} 2>&1"


FIGURE = PLAN.rule("figure")


rule figure:
    input:
        job=FIGURE.job,
        plan=FIGURE.plan,
        experiments=FIGURE.input("experiments"),
        timed=FIGURE.input("timed"),
        metrics=FIGURE.input("metrics"),
        evaluate=FIGURE.input("evaluate"),
        train=FIGURE.input("train"),
        log=FIGURE.input("log"),
        curve=FIGURE.input("curve"),
        probe=FIGURE.input("probe"),
        simulation=FIGURE.input("simulation"),
    output:
        sidecar=FIGURE.output("sidecar"),
        svg=FIGURE.output("svg"),
        png=report(
            FIGURE.output("png"),
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}", "scale": "{scale}"},
        ),
        csv=FIGURE.output("csv"),
    log:
        FIGURE.log,
    benchmark:
        FIGURE.benchmark
    localrule: FIGURE.local
    threads: FIGURE.threads
    resources:
        **FIGURE.resources,
    params:
        python=PYTHON,
    message:
        FIGURE.message
    shell:
        "{params.python:q} -m pipeline_src run {input.job:q} > {log:q} 2>&1"


REPORT = PLAN.rule("report")


rule report:
    input:
        job=REPORT.job,
        plan=REPORT.plan,
        tables=REPORT.input("tables"),
        figures=REPORT.input("figures"),
        experiments=REPORT.input("experiments"),
        train=REPORT.input("train"),
        evaluate=REPORT.input("evaluate"),
        cost=REPORT.input("cost"),
        manifests=REPORT.input("manifests"),
    output:
        sidecar=REPORT.output("sidecar"),
        report=report(
            REPORT.output("report"),
            caption="../report/report.rst",
            category="Report",
            labels={"page": "report", "scale": "{scale}"},
        ),
    log:
        REPORT.log,
    benchmark:
        REPORT.benchmark
    localrule: REPORT.local
    threads: REPORT.threads
    resources:
        **REPORT.resources,
    params:
        python=PYTHON,
    message:
        REPORT.message
    shell:
        "{params.python:q} -m pipeline_src run {input.job:q} > {log:q} 2>&1"
