"""Synthetic inks composed of symbols that people wrote: training inks only, cut, set anew, written as InkML."""
