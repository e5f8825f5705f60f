"""Plain text for the terminal: aligned columns, durations, large numbers."""


def columns(rows: list[list[str]]) -> list[str]:
    """Rows of cells as lines with aligned columns; the last column is not padded."""
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def duration(seconds: float) -> str:
    """`95` as `1 min 35 s`, `7300` as `2 h 2 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def large(value: float) -> str:
    """`23508032` as `23.51 M`."""
    for factor, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if round(abs(value) / factor * 1000, 2) >= 1000:  # what would be 1000.00 of the next smaller one
            return f"{value / factor:.2f} {letter}"
    return f"{value:g}"
