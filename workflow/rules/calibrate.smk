# Before a training: the statistics that scale equalizers need, and what equalizers change at its start.


CALIBRATE = PLAN.rule("calibrate")


rule calibrate:
    input:
        job=CALIBRATE.job,
        plan=CALIBRATE.plan,
        manifest=CALIBRATE.input("manifest"),
        sources=CALIBRATE.input("sources"),
        weights=CALIBRATE.input("weights"),
        init_from=CALIBRATE.input("init_from"),
    output:
        sidecar=CALIBRATE.output("sidecar"),
        statistics=CALIBRATE.output("statistics"),
    log:
        CALIBRATE.log,
    benchmark:
        CALIBRATE.benchmark
    priority: CALIBRATE.priority
    threads: CALIBRATE.threads
    resources:
        **CALIBRATE.resources,
    params:
        python=PYTHON,
        options=CALIBRATE.options,
    message:
        CALIBRATE.message
    shell:
        "{params.python:q} -m pipeline_src run {input.job:q} --gpus {resources.gpu} {params.options} > {log:q} 2>&1"


PROBE = PLAN.rule("probe")


rule probe:
    input:
        job=PROBE.job,
        plan=PROBE.plan,
        manifest=PROBE.input("manifest"),
        sources=PROBE.input("sources"),
        weights=PROBE.input("weights"),
        init_from=PROBE.input("init_from"),
        statistics=PROBE.input("statistics"),
    output:
        sidecar=PROBE.output("sidecar"),
        probe=PROBE.output("probe"),
    log:
        PROBE.log,
    benchmark:
        PROBE.benchmark
    threads: PROBE.threads
    resources:
        **PROBE.resources,
    params:
        python=PYTHON,
        options=PROBE.options,
    message:
        PROBE.message
    shell:
        "{params.python:q} -m pipeline_src run {input.job:q} --gpus {resources.gpu} {params.options} > {log:q} 2>&1"
