"""The emulator, and our entry point, before what Kubeflow's own driver and launcher answered for the taxi pipeline."""
