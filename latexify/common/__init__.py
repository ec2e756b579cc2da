"""What every package uses: errors, parameter sections, progress."""
