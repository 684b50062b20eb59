"""What Kubeflow's own page shows of a run: metrics, curves, a summary and the report, as artifacts of KFP's own types.

The page shows artifacts by their types (`frontend/src/components/viewers/MetricsVisualizations.tsx`). Each node writes
those that it has beside its own artifacts; a last step, which runs however the others ended, writes the report.
"""
