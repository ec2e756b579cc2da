"""The predict stage: decoding and calibrated confidences."""
