"""From an image file of any kind to the strokes on it."""
