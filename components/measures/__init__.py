"""One definition of every metric that the product shows, and how sure it is. Plain numpy: whoever measures uses these.

`areas` holds the areas under curves, `weighted` every metric as a function of row weights, `intervals` the 95 %
interval of a value and of a change, from `rates` (Wilson, Tango), `ranks` (DeLong) and `resampling` (stratified BCa).
"""

FEWEST_CLASS_ROWS = 10
"""Rows of either class below which no interval is given: no method holds its promise there."""
FEWEST_ROWS = 20
"""The same of a regression's rows."""
