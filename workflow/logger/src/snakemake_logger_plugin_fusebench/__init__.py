"""The package as Snakemake looks for it: a class of this name."""

from snakemake_logger_plugin_fusebench.log_handler import LogHandler as LogHandler
