"""`python -m latexify`: the command line, also for torchrun."""

from latexify.cli.app import main

if __name__ == "__main__":
    main()
