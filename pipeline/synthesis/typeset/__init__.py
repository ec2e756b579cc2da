"""Typesetting: expression trees in, boxes of placed strokes out."""
