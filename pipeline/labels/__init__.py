"""Lists of labels: from files of any kind to the label of each picture."""
