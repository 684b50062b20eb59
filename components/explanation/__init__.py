"""ModelExplainer: what a model's answers rest on, asked of the exported graph with raw columns.

`importance` shuffles columns, `dependence` sets one column to value after value, `largest_errors` lists rows, `explain`
does all three within a bounded time, in a process of its own.
"""
