"""StatisticsGen: TFDV's statistics of every split, computed over record batches."""
