"""The networks that step `probe` compares, by the form of their equalizers. No torch."""

PLAIN = "plain"
"""Without equalizers."""

PROBED_FORMS = (PLAIN, "module", "folded")
