# Data sets and pretrained weights: fetched, verified, extracted or generated, and described.


localrules:
    fetch,
    weights,


rule fetch:
    input:
        unpack(job_inputs("fetch")),
    output:
        sidecar="data/archives/{archive}.json",
    log:
        f"work/{SCALE}/logs/fetch/{{archive}}.log",
    benchmark:
        f"work/{SCALE}/benchmarks/fetch/{{archive}}.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=720,
    params:
        python=PYTHON,
        options=PLAN.fetch_options,
    message:
        "fetch {wildcards.archive} (DVC's cache or remote, else the mirror, else the URL)"
    shell:
        "{params.python} -m pipeline_src.steps.fetch {input.job} {params.options} > {log} 2>&1"


rule extract:
    input:
        unpack(job_inputs("extract")),
    output:
        sidecar="data/extracted/{archive}.json",
    log:
        f"work/{SCALE}/logs/extract/{{archive}}.log",
    benchmark:
        f"work/{SCALE}/benchmarks/extract/{{archive}}.tsv"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=240,
    params:
        python=PYTHON,
    message:
        "extract {wildcards.archive}"
    shell:
        "{params.python} -m pipeline_src.steps.extract {input.job} > {log} 2>&1"


rule scenes:
    input:
        unpack(job_inputs("scenes")),
    output:
        sidecar="data/scenes/{dataset}.json",
    log:
        f"work/{SCALE}/logs/scenes/{{dataset}}.log",
    benchmark:
        f"work/{SCALE}/benchmarks/scenes/{{dataset}}.tsv"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        python=PYTHON,
    message:
        "draw scenes {wildcards.dataset}"
    shell:
        "{params.python} -m pipeline_src.steps.scenes {input.job} > {log} 2>&1"


rule manifest:
    input:
        unpack(job_inputs("manifest")),
    output:
        sidecar="results/{scale}/data/{dataset}/manifest.json",
        index="results/{scale}/data/{dataset}/index.json",
    log:
        "work/{scale}/logs/manifest/{dataset}.log",
    benchmark:
        "work/{scale}/benchmarks/manifest/{dataset}.tsv"
    threads: 2
    resources:
        mem_mb=larger_on_retry(4000),  # COCO's 450 MB of JSON are parsed in one piece
        runtime=120,
    params:
        python=PYTHON,
    message:
        "check and describe data set {wildcards.dataset}"
    shell:
        "{params.python} -m pipeline_src.steps.manifest {input.job} --workers {threads} > {log} 2>&1"


rule weights:
    input:
        unpack(job_inputs("weights")),
    output:
        sidecar="data/weights/{weights}.json",
    log:
        f"work/{SCALE}/logs/weights/{{weights}}.log",
    benchmark:
        f"work/{SCALE}/benchmarks/weights/{{weights}}.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=120,
    params:
        python=PYTHON,
        options=PLAN.fetch_options,
    message:
        "fetch and verify weights {wildcards.weights}"
    shell:
        "{params.python} -m pipeline_src.steps.weights {input.job} {params.options} > {log} 2>&1"
