# Parameters, FLOPs, memory and latency of an architecture. Cost jobs measure time, so each asks
# for all cores: nothing else runs beside it.


rule cost:
    input:
        unpack(job_inputs("cost")),
    output:
        sidecar="results/{scale}/cost/{architecture}/sidecar.json",
        cost="results/{scale}/cost/{architecture}/cost.json",
        timing="results/{scale}/cost/{architecture}/timing.json",
    log:
        "work/{scale}/logs/cost/{architecture}.log",
    benchmark:
        "work/{scale}/benchmarks/cost/{architecture}.tsv"
    threads: all_cores()
    resources:
        gpu=gpus,
        mem_mb=larger_on_retry(8000),
        runtime=60,
    params:
        python=PYTHON,
        warm=WARM,
    message:
        "measure {wildcards.architecture}"
    shell:
        "{params.python} -m pipeline_src.launch --gpus {resources.gpu}{params.warm} cost {input.job} > {log} 2>&1"
