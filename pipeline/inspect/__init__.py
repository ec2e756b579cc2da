"""Looking at data: what it holds in words, and sheets of pictures. No stage uses it."""
