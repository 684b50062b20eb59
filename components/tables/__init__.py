"""Files of rows: which files, how they are written, and their rows as typed columns. No tfx."""
