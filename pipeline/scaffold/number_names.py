"""Whether whole numbers are names, such as postcodes, or count or measure: by their values."""

from __future__ import annotations

from taxiway.pipeline.scaffold.profile import MOST_NAMES, ColumnProfile

SURE_NAMES = 4.0
"""In standard errors: numbers that tell so much more one by one than by their order are names."""
LEAST_CODE, HUGE_CODE = 1_000, 1_000_000
YEARS = (1_800, 2_200)
NARROW = 0.1
"""A range of less than this share of its least number: what counts or measures begins nearer to 0."""
SPARSE = 0.5
"""A list of codes holds less than this share of the numbers that as many rows of a measure would."""
ROUND = 0.5
"""Where the two commonest last digits have at least this share of the different numbers, they were rounded."""


def explain_names(column: ColumnProfile, tells_label: bool) -> str:
    """Why whole numbers are names; empty where they count or measure.

    Args:
        column: The column.
        tells_label: Whether the order of the numbers tells something of the label.
    """
    if not 3 <= column.distinct <= MOST_NAMES or column.distinct >= 0.2 * max(column.rows, 1):
        return ""
    if column.name_gain >= SURE_NAMES:
        return "each number tells more of the label than their order does"
    is_measure = tells_label and column.name_gain < 0  # their order tells all that they tell
    return "" if is_measure else _explain_codes(column)


def _explain_codes(column: ColumnProfile) -> str:
    least, greatest = int(column.least or 0), int(column.greatest or 0)
    alike = len(str(least)) == len(str(greatest)) or least > HUGE_CODE
    if least < LEAST_CODE or not alike or (YEARS[0] <= least and greatest <= YEARS[1]):
        return ""
    if greatest - least < NARROW * least:
        return f"{column.distinct:,} different numbers, none far from the others: {least:,} to {greatest:,}"
    if column.density < SPARSE and column.digit_share < ROUND:
        return f"{column.distinct:,} different numbers from {least:,} to {greatest:,}, neither round nor close together"
    return ""
