"""A finished run of a Kubeflow Pipelines server, read into the execution records of a root on this machine."""
