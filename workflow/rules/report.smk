# What is made of the results: tidy tables, tables beside the papers' numbers, figures, the page.


rule tabulate:
    input:
        unpack(job_inputs("tabulate")),
    output:
        sidecar="results/{scale}/studies/{study}/sidecar.json",
        experiments="results/{scale}/studies/{study}/experiments.csv",
        timed="results/{scale}/studies/{study}/experiments_timed.csv",
    log:
        "work/{scale}/logs/tabulate/{study}.log",
    benchmark:
        "work/{scale}/benchmarks/tabulate/{study}.tsv"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        python=PYTHON,
    message:
        "tabulate {wildcards.study}"
    shell:
        "{params.python} -m pipeline_src.steps.tabulate {input.job} > {log} 2>&1"


rule join:
    input:
        unpack(job_inputs("join")),
    output:
        sidecar="results/{scale}/experiments.json",
        experiments="results/{scale}/experiments.csv",
        timed="results/{scale}/experiments_timed.csv",
        metrics="results/{scale}/metrics.json",
    log:
        "work/{scale}/logs/join.log",
    benchmark:
        "work/{scale}/benchmarks/join.tsv"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        python=PYTHON,
    message:
        "join the tables of all studies"
    shell:
        "{params.python} -m pipeline_src.steps.join {input.job} > {log} 2>&1"


rule table:
    input:
        unpack(job_inputs("table")),
    output:
        sidecar="results/{scale}/tables/{table}.json",
        csv=report(
            "results/{scale}/tables/{table}.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}", "scale": "{scale}"},
        ),
        md="results/{scale}/tables/{table}.md",
        tex="results/{scale}/tables/{table}.tex",
    log:
        "work/{scale}/logs/table/{table}.log",
    benchmark:
        "work/{scale}/benchmarks/table/{table}.tsv"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        python=PYTHON,
    message:
        "table {wildcards.table}"
    shell:
        "{params.python} -m pipeline_src.steps.table {input.job} > {log} 2>&1"


rule simulate:
    input:
        unpack(job_inputs("simulate")),
    output:
        sidecar="results/{scale}/figures/simulations/{figure}/sidecar.json",
        simulation="results/{scale}/figures/simulations/{figure}/simulation.json",
    log:
        "work/{scale}/logs/simulate/{figure}.log",
    benchmark:
        "work/{scale}/benchmarks/simulate/{figure}.tsv"
    threads: job_threads("simulate")
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        python=PYTHON,
    message:
        "simulate {wildcards.figure}"
    shell:
        "{params.python} -m pipeline_src.steps.simulate {input.job} > {log} 2>&1"


rule figure:
    input:
        unpack(job_inputs("figure")),
    output:
        sidecar="results/{scale}/figures/{figure}.json",
        svg="results/{scale}/figures/{figure}.svg",
        png=report(
            "results/{scale}/figures/{figure}.png",
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}", "scale": "{scale}"},
        ),
        csv="results/{scale}/figures/{figure}.csv",
    log:
        "work/{scale}/logs/figure/{figure}.log",
    benchmark:
        "work/{scale}/benchmarks/figure/{figure}.tsv"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        python=PYTHON,
    message:
        "figure {wildcards.figure}"
    shell:
        "{params.python} -m pipeline_src.steps.figure {input.job} > {log} 2>&1"


rule report:
    input:
        unpack(job_inputs("report")),
    output:
        sidecar="results/{scale}/report.json",
        report=report(
            "results/{scale}/report.html",
            caption="../report/report.rst",
            category="Report",
            labels={"page": "report", "scale": "{scale}"},
        ),
    log:
        "work/{scale}/logs/report.log",
    benchmark:
        "work/{scale}/benchmarks/report.tsv"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        python=PYTHON,
    message:
        "report"
    shell:
        "{params.python} -m pipeline_src.steps.report {input.job} > {log} 2>&1"
