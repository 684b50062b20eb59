"""Runs a compiled pipeline on one machine as open-source Kubeflow Pipelines would: its backend and its launcher.

It reads the compiled file and nothing else, shares no code with the compiler, refuses what the backend refuses and
ignores what it ignores. What it follows is release 2.17.0 of github.com/kubeflow/pipelines, or the backend without ML
Metadata (`releases.py`); each refusal names the file that it comes from. What it hands to each node of the taxi
pipeline is compared with what the backend itself handed to it, in `tests/kubeflow`.
"""
