# Data sets and pretrained weights: fetched, verified, extracted or generated, and described.


FETCH = PLAN.rule("fetch")


rule fetch:
    input:
        job=FETCH.job,
        plan=FETCH.plan,
    output:
        sidecar=FETCH.output("sidecar"),
    log:
        FETCH.log,
    benchmark:
        FETCH.benchmark
    priority: FETCH.priority
    localrule: FETCH.local
    threads: FETCH.threads
    resources:
        **FETCH.resources,
    params:
        python=PYTHON,
        options=FETCH.options,
    message:
        FETCH.message
    shell:
        "{params.python:q} -m pipeline_src run {input.job:q} {params.options} > {log:q} 2>&1"


EXTRACT = PLAN.rule("extract")


rule extract:
    input:
        job=EXTRACT.job,
        plan=EXTRACT.plan,
        archive=EXTRACT.input("archive"),
    output:
        sidecar=EXTRACT.output("sidecar"),
    log:
        EXTRACT.log,
    benchmark:
        EXTRACT.benchmark
    priority: EXTRACT.priority
    threads: EXTRACT.threads
    resources:
        **EXTRACT.resources,
    params:
        python=PYTHON,
    message:
        EXTRACT.message
    shell:
        "{params.python:q} -m pipeline_src run {input.job:q} > {log:q} 2>&1"


SCENES = PLAN.rule("scenes")


rule scenes:
    input:
        job=SCENES.job,
        plan=SCENES.plan,
    output:
        sidecar=SCENES.output("sidecar"),
    log:
        SCENES.log,
    benchmark:
        SCENES.benchmark
    priority: SCENES.priority
    localrule: SCENES.local
    threads: SCENES.threads
    resources:
        **SCENES.resources,
    params:
        python=PYTHON,
    message:
        SCENES.message
    shell:
        "{params.python:q} -m pipeline_src run {input.job:q} > {log:q} 2>&1"


MANIFEST = PLAN.rule("manifest")


rule manifest:
    input:
        job=MANIFEST.job,
        plan=MANIFEST.plan,
        sources=MANIFEST.input("sources"),
    output:
        sidecar=MANIFEST.output("sidecar"),
        index=MANIFEST.output("index"),
    log:
        MANIFEST.log,
    benchmark:
        MANIFEST.benchmark
    priority: MANIFEST.priority
    # what is wrong with a data set is wrong the second time, too
    retries: 0
    threads: MANIFEST.threads
    resources:
        **MANIFEST.resources,
    params:
        python=PYTHON,
    message:
        MANIFEST.message
    shell:
        "{params.python:q} -m pipeline_src run {input.job:q} --workers {threads} > {log:q} 2>&1"


WEIGHTS = PLAN.rule("weights")


rule weights:
    input:
        job=WEIGHTS.job,
        plan=WEIGHTS.plan,
    output:
        sidecar=WEIGHTS.output("sidecar"),
    log:
        WEIGHTS.log,
    benchmark:
        WEIGHTS.benchmark
    priority: WEIGHTS.priority
    localrule: WEIGHTS.local
    threads: WEIGHTS.threads
    resources:
        **WEIGHTS.resources,
    params:
        python=PYTHON,
        options=WEIGHTS.options,
    message:
        WEIGHTS.message
    shell:
        "{params.python:q} -m pipeline_src run {input.job:q} {params.options} > {log:q} 2>&1"
