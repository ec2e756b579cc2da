"""The score stage: error rates, intervals and tables of predictions."""
