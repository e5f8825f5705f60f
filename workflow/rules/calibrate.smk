# Before a training: the statistics that scale equalizers need, and what equalizers change at its start.


rule calibrate:
    input:
        unpack(job_inputs("calibrate")),
    output:
        sidecar="results/{scale}/runs/{run}/calibrate.json",
        statistics="results/{scale}/runs/{run}/statistics.json",
    log:
        "work/{scale}/logs/calibrate/{run}.log",
    benchmark:
        "work/{scale}/benchmarks/calibrate/{run}.tsv"
    threads: job_threads("calibrate")
    resources:
        gpu=gpus,
        mem_mb=larger_on_retry(4000),
        runtime=240,
    params:
        python=PYTHON,
        warm=WARM,
    message:
        "calibrate {wildcards.run}"
    shell:
        "{params.python} -m pipeline_src.launch --gpus {resources.gpu}{params.warm} calibrate {input.job} > {log} 2>&1"


rule probe:
    input:
        unpack(job_inputs("probe")),
    output:
        sidecar="results/{scale}/figures/probes/{run}/sidecar.json",
        probe="results/{scale}/figures/probes/{run}/probe.json",
    log:
        "work/{scale}/logs/probe/{run}.log",
    benchmark:
        "work/{scale}/benchmarks/probe/{run}.tsv"
    threads: job_threads("probe")
    resources:
        gpu=gpus,
        mem_mb=larger_on_retry(4000),
        runtime=60,
    params:
        python=PYTHON,
        warm=WARM,
    message:
        "probe the start of {wildcards.run}"
    shell:
        "{params.python} -m pipeline_src.launch --gpus {resources.gpu}{params.warm} probe {input.job} > {log} 2>&1"
