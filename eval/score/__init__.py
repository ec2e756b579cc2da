"""The score stage: figures and tables from predictions."""
