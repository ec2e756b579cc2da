"""What people touch: the recogniser, for inks and pictures of any kind."""
