"""Pictures of any kind: from an image file to strokes."""
