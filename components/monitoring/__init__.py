"""Whether the requests to a served model, and its answers, are as in training: plain functions on arrays and protos.

A difference counts where it exceeds a threshold and what chance reaches: all checks of a window share one error rate.
"""
