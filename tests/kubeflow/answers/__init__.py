"""What the backends answered, and how it is masked."""
