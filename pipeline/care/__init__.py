"""Care of the store: what may go (`gc`), and what is not as it should be (`examine`)."""
