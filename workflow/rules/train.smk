# One training for every run. Checkpoints live in work/ (undeclared), so a killed job resumes.


rule train:
    input:
        unpack(job_inputs("train")),
    output:
        sidecar="results/{scale}/runs/{run}/train.json",
        model="results/{scale}/runs/{run}/model.safetensors",
        log="results/{scale}/runs/{run}/log.csv",
        curve="results/{scale}/runs/{run}/curve.csv",
    log:
        "work/{scale}/logs/train/{run}.log",
    benchmark:
        "work/{scale}/benchmarks/train/{run}.tsv"
    threads: job_threads("train")
    resources:
        gpu=gpus,
        # a GPU's four loader processes hold two batches each, 2.6 GB of 32 images at 1333x800
        mem_mb=larger_on_retry(8000),
        runtime=1440,
    params:
        python=PYTHON,
        warm=WARM,
    message:
        "train {wildcards.run}"
    shell:
        "{params.python} -m pipeline_src.launch --gpus {resources.gpu}{params.warm} train {input.job} > {log} 2>&1"
