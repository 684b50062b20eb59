"""The pipeline on Kubeflow Pipelines: compiled, checked, submitted; and what runs inside its containers."""
