# Accuracy of a trained run at the original image size, and pictures of what it predicts.


EVALUATE = PLAN.rule("evaluate")


rule evaluate:
    input:
        job=EVALUATE.job,
        plan=EVALUATE.plan,
        manifest=EVALUATE.input("manifest"),
        sources=EVALUATE.input("sources"),
        train=EVALUATE.input("train"),
    output:
        sidecar=EVALUATE.output("sidecar"),
        metrics=EVALUATE.output("metrics"),
        overlays=directory(EVALUATE.output("overlays")),
    log:
        EVALUATE.log,
    benchmark:
        EVALUATE.benchmark
    priority: EVALUATE.priority
    threads: EVALUATE.threads
    resources:
        **EVALUATE.resources,
    params:
        python=PYTHON,
        options=EVALUATE.options,
    message:
        EVALUATE.message
    shell:
        "{params.python:q} -m pipeline_src run {input.job:q} --gpus {resources.gpu} {params.options} > {log:q} 2>&1"
