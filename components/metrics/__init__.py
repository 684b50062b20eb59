"""One definition of every metric that is shown, with its 95 % interval. Plain numpy; whatever measures uses these.

`curve_areas` has the areas under curves, `weighted` every metric as a function of row weights, and `intervals` the
interval of a value and of a change, from `rate_intervals` (Wilson, Tango), `auc_intervals` (DeLong) and `bootstrap`
(stratified BCa).
"""

FEWEST_CLASS_ROWS = 10
"""Rows of either class below which no interval is given: no method holds its promise there."""
FEWEST_ROWS = 20
"""The same of a regression's rows."""
