"""Makes variants of a trained model, measures what each buys and what it costs, and chooses by the configuration."""
