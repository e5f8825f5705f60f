# The environment of requirements.lock in an image; the checkout is mounted, so that results stay outside:
#
#   docker build -t fusebench .
#   docker run --rm --gpus all -v "$PWD:/fusebench" fusebench snakemake --cores all
#
# docs/cluster.md says how to use it with Apptainer.
FROM python:3.12-slim

# Commits are recorded with results; a mounted checkout belongs to another user than the container's.
RUN apt-get update \
    && apt-get install -y --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/* \
    && git config --system --add safe.directory /fusebench

COPY requirements.lock /opt/fusebench/
COPY workflow/logger /opt/fusebench/logger
RUN pip install --no-cache-dir -r /opt/fusebench/requirements.lock \
    && pip install --no-cache-dir --no-deps /opt/fusebench/logger

WORKDIR /fusebench
CMD ["snakemake", "-n"]
