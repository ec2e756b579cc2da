"""Recognition where a person works: the clipboard of a desktop, and folders that are watched."""
