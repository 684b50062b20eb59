"""Maintenance: what may be deleted (`gc`), what is wrong under a root or on a machine (`check_*`)."""
