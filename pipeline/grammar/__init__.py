"""The grammar of labels: which tokens may follow which in well-formed LaTeX."""
