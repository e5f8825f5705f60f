# One training for every run. Checkpoints live in work/ (undeclared), so a killed job resumes.


TRAIN = PLAN.rule("train")


rule train:
    input:
        job=TRAIN.job,
        plan=TRAIN.plan,
        manifest=TRAIN.input("manifest"),
        sources=TRAIN.input("sources"),
        weights=TRAIN.input("weights"),
        init_from=TRAIN.input("init_from"),
        statistics=TRAIN.input("statistics"),
    output:
        sidecar=TRAIN.output("sidecar"),
        model=TRAIN.output("model"),
        log=TRAIN.output("log"),
        curve=TRAIN.output("curve"),
    log:
        TRAIN.log,
    benchmark:
        TRAIN.benchmark
    priority: TRAIN.priority
    threads: TRAIN.threads
    resources:
        **TRAIN.resources,
    params:
        python=PYTHON,
        options=TRAIN.options,
    message:
        TRAIN.message
    shell:
        "{params.python:q} -m pipeline_src run {input.job:q} --gpus {resources.gpu} {params.options} > {log:q} 2>&1"
