# Parameters, FLOPs, memory and latency of an architecture. Cost jobs measure time, so each asks
# for all cores: nothing else runs beside it.


COST = PLAN.rule("cost")


rule cost:
    input:
        job=COST.job,
        plan=COST.plan,
    output:
        sidecar=COST.output("sidecar"),
        cost=COST.output("cost"),
        timing=COST.output("timing"),
    log:
        COST.log,
    benchmark:
        COST.benchmark
    threads: COST.threads
    resources:
        **COST.resources,
    params:
        python=PYTHON,
        options=COST.options,
    message:
        COST.message
    shell:
        "{params.python:q} -m pipeline_src run {input.job:q} --gpus {resources.gpu} {params.options} > {log:q} 2>&1"
