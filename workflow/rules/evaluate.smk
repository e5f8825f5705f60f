# Accuracy of a trained run at the original image size, and pictures of what it predicts.


rule evaluate:
    input:
        unpack(job_inputs("evaluate")),
    output:
        sidecar="results/{scale}/runs/{run}/evaluate.json",
        metrics="results/{scale}/runs/{run}/metrics.json",
        overlays=directory("results/{scale}/runs/{run}/overlays"),
    log:
        "work/{scale}/logs/evaluate/{run}.log",
    benchmark:
        "work/{scale}/benchmarks/evaluate/{run}.tsv"
    threads: job_threads("evaluate")
    resources:
        gpu=gpus,
        mem_mb=larger_on_retry(6000),
        runtime=120,
    params:
        python=PYTHON,
        warm=WARM,
    message:
        "evaluate {wildcards.run}"
    shell:
        "{params.python} -m pipeline_src.launch --gpus {resources.gpu}{params.warm} evaluate {input.job} > {log} 2>&1"
