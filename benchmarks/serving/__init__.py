"""Load and hostility for `latexify serve`, over loopback, beside a plain server."""
